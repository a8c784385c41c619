"""An organisation with something in every table, marked so that whatever of it turns up elsewhere is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from models.base import Table
from models.budgets import Budget, BudgetHold, BudgetSpending
from models.catalog import Price
from models.events import Event, IdempotencyRecord
from models.gateway import AiModel, ApiKey, GatewayRequest, Upstream
from models.identity import (
    Account,
    Authenticator,
    Invitation,
    Organization,
    Project,
    RecoveryCode,
    ServiceAccount,
    Session,
    SignIn,
)
from models.ledger import LedgerAccount, LedgerDeferral, LedgerEntry, LedgerJournal
from models.mail import Mail
from models.metering import Meter, UsageDay, UsageDelta, UsageEvent, UsageHour, UsageMinute
from models.notifications import Notification, NotificationPreference
from models.papers import Form, Paper, TemplateVersion
from models.plans import CouponOffer, Plan, PlanCharge, PlanEntitlement, PlanVersion, Product
from models.subscriptions import Subscription
from models.tasks import StoredFile, Task
from models.types import OrganizationKind
from models.wallets import Wallet, WalletDebit, WalletDebitPart, WalletHold, WalletLot, WalletTopUp
from services.core import runtime
from services.core.crossing import Reason, crossing
from services.core.crypto import Place, vault
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.settings import settings
from services.files.stores import FOLDER, INCOMING, FilePlaces, FolderStore, places
from services.identity import rules
from services.metering.service import ensure_platform_meters
from services.papers import keeping
from tests.papers import (
    accepted,
    account,
    brand,
    brand_id,
    campaign,
    entity,
    paid,
    papers,
    reminded,
    subscribed,
    terms,
)
from tests.sealing import at_once
from tests.world import LONG_AGO, World

C = Capability
SOON = datetime.now(UTC) + timedelta(days=30)
JUST_NOW = datetime.now(UTC) - timedelta(minutes=5)
NOBODY: frozenset[Capability] = frozenset()

runtime.know_all_tables()


@dataclass(frozen=True, slots=True)
class Canary:
    """Text that stands in the victim's rows. Only who holds one of `seen_by` may ever be answered with it."""

    text: str
    seen_by: frozenset[Capability] = NOBODY


class Victim:
    """One organisation, its owner and a row of theirs in every table. `offered` is the model everybody may call."""

    def __init__(self, organization: Organization, owner: Account, upstream_id: str, offered: str) -> None:
        self.organization = organization
        self.owner = owner
        self.upstream_id = upstream_id
        self.offered = offered
        self.canaries: list[Canary] = []
        self.ids: dict[str, str] = {"org": organization.id, "acc": owner.id, "ups": upstream_id}
        self.coupon = ""
        self.repeat_key = f"repeat-{organization.id}"

    def mark(self, word: str, *seen_by: Capability) -> str:
        """A canary for one of the rows."""
        canary = Canary(f"{word}-canary-of-{self.organization.id[-8:]}", frozenset(seen_by))
        self.canaries.append(canary)
        return canary.text

    @property
    def places(self) -> int:
        """A number that no other victim has."""
        return int(self.organization.id[-6:].encode().hex(), 16)

    def amount(self, *seen_by: Capability) -> Decimal:
        """A sum that nobody else's rows add up to."""
        places = self.places % 10**11
        # As many digits before the point each time: none is found in another that ends alike.
        canary = Canary(f"{1_000 + len(self.canaries)}.{places:011}3", frozenset(seen_by))
        self.canaries.append(canary)
        return Decimal(canary.text)

    def id(self, prefix: str) -> str:
        """The id of the victim's row of that kind, the same each time."""
        return self.ids.setdefault(prefix, new_id(prefix))


async def furnish(world: World, name: str, *, folder: Path | None = None) -> Victim:
    """Somebody whose things others will try to get at. Files lie in the data folder: that of settings, or `folder`."""
    where = (
        places(settings()) if folder is None else FilePlaces(FolderStore(folder / FOLDER), folder / INCOMING)
    )
    organization = await world.organization(OrganizationKind.CLIENT, name=name)
    owner = await world.account(f"owner-{organization.id[-8:]}@victim.example", member_of=organization)
    async with crossing(Reason.DEMO, on=world.database) as uow:
        await ensure_platform_meters(uow)
        upstream_id, slug = new_id("ups"), f"open-{organization.id[-8:]}"
        victim = Victim(organization, owner, upstream_id, slug)
        batches = (
            _catalog(victim), _plans(victim), _personal(victim), _identity(victim), _used(victim), _made(victim),
            _booked(victim), _invoiced(victim), _subscribed(victim), _prepaid(victim), _paid(victim), _budgeted(victim),
        )  # fmt: skip
        for batch in batches:
            for row in batch:
                uow.add(row)
                await uow.session.flush()
        await uow.execute(
            "update account set name = :name where id = :id",
            name=victim.mark("owner", C.MEMBERS_READ, C.KEYS_READ, C.AUDIT_READ, C.STAFF_ORGANIZATIONS_READ),
            id=owner.id,
        )
        await uow.execute(
            "update organization set name = :name where id = :id",
            name=victim.mark("name", C.ORGANIZATION_READ, C.STAFF_ORGANIZATIONS_READ, C.STAFF_AUDIT_READ),
            id=organization.id,
        )
        await uow.execute(
            "update invoice set state = 'finalized', number = :number, series_brand = '', series_period = '',"
            " sequence = 1000, finalized_at = created_at, due_minor = 4 where id = :id",
            number=victim.mark("number", C.INVOICES_READ, C.STAFF_INVOICES_READ),
            id=victim.id("inv"),
        )
        printed = victim.mark("printed", C.INVOICES_READ, C.STAFF_INVOICES_READ).encode()
        one = (await keeping.keep(where, printed)).to_json()
        kept = {form.value: one for form in Form}
        await uow.execute(
            "update paper set state = 'made', made_at = created_at, files = cast(:files as jsonb)"
            " where organization_id = :id",
            files=orjson.dumps(kept).decode(),
            id=organization.id,
        )
    return victim


def _catalog(v: Victim) -> Iterator[Table]:
    """What belongs to nobody, and is partly for staff alone."""
    yield Upstream(
        id=v.upstream_id,
        name=v.mark("upstream", C.STAFF_UPSTREAMS_READ),
        base_url=f"https://{v.mark('host', C.STAFF_UPSTREAMS_READ)}.example/v1",
        api_key_sealed=_sealed(v, "sk", "platform", "upstream", "api_key_sealed", v.upstream_id),
        created_at=LONG_AGO,
    )
    common: Any = {"upstream_id": v.upstream_id, "context_tokens": 4_096, "created_at": LONG_AGO}
    yield AiModel(
        id=new_id("model"),
        slug=v.offered,
        name="On offer",
        upstream_model=v.mark("behind", C.STAFF_UPSTREAMS_READ),
        endpoints=["chat", "completions", "embeddings"],
        **common,
    )
    hidden = v.mark("hidden", C.STAFF_UPSTREAMS_READ, C.STAFF_PRICES_READ)
    yield AiModel(id=v.id("model"), slug=hidden, name=hidden, upstream_model="x", enabled=False, **common)
    yield Price(
        id=v.id("prc"),
        model=v.offered,
        meter="prompt_tokens",
        currency="USD",
        unit_amount=v.amount(C.STAFF_PRICES_READ),  # planned: nobody but staff knows yet
        valid_from=SOON,
        created_at=LONG_AGO,
    )


def _plans(v: Victim) -> Iterator[Table]:
    """A plan that everybody may buy, its next version, which only staff knows, and a coupon."""
    staff = C.STAFF_PLANS_READ
    slug = v.id("plan").replace("_", "-")
    yield Product(id=v.id("prod"), slug=slug, name="On offer", created_at=LONG_AGO)
    yield Plan(id=v.id("plan"), product_id=v.id("prod"), slug=slug, name="On offer", created_at=LONG_AGO)
    common: Any = {
        "position": 0,
        "key": "base",
        "kind": "flat",
        "currency": "USD",
        "interval": "month",
        "timing": "advance",
        "proration": "second",
        "definition": {"schema": 1, "model": "flat", "amount": "20"},
    }
    sold = PlanVersion(id=new_id("plnv"), plan_id=v.id("plan"), number=1, created_at=LONG_AGO)
    v.ids["sold"] = sold.id
    yield sold
    yield PlanCharge(id=v.id("pchg"), plan_version_id=sold.id, name="Base", **common)
    sold.state, sold.published_at = "published", LONG_AGO
    yield PlanVersion(id=v.id("plnv"), plan_id=v.id("plan"), number=2, created_at=LONG_AGO)
    yield PlanCharge(id=new_id("pchg"), plan_version_id=v.id("plnv"), name=v.mark("charge", staff), **common)
    yield PlanEntitlement(
        plan_version_id=v.id("plnv"),
        key="sso",
        position=0,
        name=v.mark("feature", staff),
        kind="flag",
        value="true",
    )
    code = v.coupon = v.mark("code", staff, C.SUBSCRIPTIONS_READ, C.STAFF_SUBSCRIPTIONS_READ)
    yield CouponOffer(
        id=v.id("cpn"), code=code, code_key=code, name="Spring", rate=Decimal("0.5"), created_at=LONG_AGO
    )


def _sealed(v: Victim, word: str, *place: str) -> bytes:
    return _sealed_text(v.mark(word), *place)


def _sealed_text(text: str, *place: str) -> bytes:
    return at_once(vault().seal(text.encode(), Place(*place)))


def _paid(v: Victim) -> Iterator[Table]:
    """An account with a provider at an address where nobody is, a kept method, a payment that failed and a refund."""
    owner, pacc = v.organization.id, v.id("pacc")
    secrets = orjson.dumps({"secret": v.mark("opens")}).decode()
    yield account(pacc, pacc, _sealed_text(secrets, "platform", "provider_account", "secrets", pacc))
    said = v.mark("declined", C.PAYMENTS_READ, C.STAFF_PAYMENTS_READ)
    kinds = ("inv", "pay", "paym", "crat", "rfnd", "dsp", "cst", "plnk", "pset", "pcas", "file")
    ids = {k: v.id(k) for k in kinds}
    yield from paid(owner, pacc, ids, said, lambda *row: _sealed(v, row[0], owner, *row))
    cases = reminded(owner, v.id("dcmp"), v.id("inv"), v.id("dcas"), v.id("dhld"))
    yield from (campaign(v.id("dcmp"), "Usual"), *cases)
    yield terms(v.id("trms"), v.places % 10**9)
    yield accepted(owner, v.id("trms"), v.owner.id, v.mark("came from", C.ORGANIZATION_WRITE))


def _prepaid(v: Victim) -> Iterator[Table]:
    """A wallet with a lot, a debit of a part of it, a top-up that is due, and a process that holds a little."""
    own: Any = {"organization_id": v.organization.id}
    made: Any = {**own, "wallet_id": v.id("wal"), "created_at": LONG_AGO}
    yield Wallet(id=v.id("wal"), currency="USD", minor_per_major=100, created_at=LONG_AGO, **own)
    yield WalletLot(
        id=v.id("lot"),
        key="k",
        source="grant",
        priority=1,
        minor=500,
        left_minor=500,
        note=v.mark("credit", C.WALLET_READ, C.STAFF_WALLETS_READ),
        journal_id=v.id("jrnl"),
        **made,
    )
    yield WalletDebit(
        id=v.id("wdeb"), kind="invoice", cause_id=v.id("inv"), minor=200, journal_id=v.id("jrnl"), **made
    )
    yield WalletDebitPart(debit_id=v.id("wdeb"), lot_id=v.id("lot"), minor=200, **own)
    yield WalletTopUp(id=v.id("wtop"), minor=500, state="due", month=LONG_AGO.date(), **made)
    yield WalletHold(
        wallet_id=v.id("wal"), holder="p", amount=Decimal("0.03"), changed_at=datetime.now(UTC), **own
    )


def _budgeted(v: Victim) -> Iterator[Table]:
    """A budget with something used of it."""
    own: Any = {"organization_id": v.organization.id}
    named = v.mark("budget", C.BUDGETS_READ)
    yield Budget(
        id=v.id("bud"), name=named, measure="tokens", period="day", limit_amount=Decimal(9), action="notify",
        thresholds=[100], created_at=LONG_AGO, **own,
    )  # fmt: skip
    place: Any = {**own, "budget_id": v.id("bud"), "starts_at": LONG_AGO}
    yield BudgetSpending(ends_at=SOON, spent=Decimal(1), **place)
    yield BudgetHold(holder="p", amount=Decimal(1), changed_at=datetime.now(UTC), **place)


def _personal(v: Victim) -> Iterator[Table]:
    """What is the owner's own, whatever others in the organisation may do."""
    yield Session(
        id=v.id("ses"),
        token_hash=vault().lookup_hash(f"session of {v.owner.id}"),
        account_id=v.owner.id,
        organization_id=v.organization.id,
        user_agent=v.mark("browser"),
        address=v.mark("home"),
        created_at=JUST_NOW,
        last_seen_at=JUST_NOW,
        expires_at=SOON,
        proved_at=JUST_NOW,
    )
    yield SignIn(
        id=v.id("sgn"), account_id=v.owner.id, at=JUST_NOW, outcome="signed_in", address=v.mark("place")
    )
    seed = _sealed(v, "seed", v.owner.id, "authenticator", "seed_sealed", v.owner.id)
    yield Authenticator(account_id=v.owner.id, seed_sealed=seed, created_at=LONG_AGO)
    yield RecoveryCode(
        id=v.id("rcv"), account_id=v.owner.id, code_hash=vault().lookup_hash(v.owner.id), created_at=LONG_AGO
    )
    yield Notification(
        id=v.id("note"),
        account_id=v.owner.id,
        organization_id=v.organization.id,
        event_id=1,
        topic="t",
        title=v.mark("notice"),
        created_at=JUST_NOW,
    )
    yield NotificationPreference(account_id=v.owner.id, topic="t", channel="mail", wanted=True)
    yield Mail(
        id=v.id("mail"),
        dedupe_key=v.owner.id,
        recipient=v.owner.email,
        subject=v.mark("subject", C.STAFF_MAILBOX_READ),
        body=v.mark("letter", C.STAFF_MAILBOX_READ),
        created_at=JUST_NOW,
    )


def _identity(v: Victim) -> Iterator[Table]:
    own: Any = {"organization_id": v.organization.id, "created_at": LONG_AGO}
    asked = v.mark("invited", C.MEMBERS_READ, C.AUDIT_READ)
    yield Invitation(
        id=v.id("invite"),
        email=f"{asked}@example.com",
        email_key=f"{asked}@example.com",
        role="viewer",
        token_hash=vault().lookup_hash(f"invitation to {v.organization.id}"),
        invited_by=v.owner.id,
        expires_at=JUST_NOW + rules.INVITATION_VALID,
        **own,
    )
    project = v.mark("project", C.PROJECTS_READ, C.KEYS_READ, C.USAGE_READ, C.AUDIT_READ)
    yield Project(id=v.id("proj"), name=project, name_key=project, **own)
    robot = v.mark("robot", C.SERVICE_ACCOUNTS_READ, C.KEYS_READ, C.AUDIT_READ)
    yield ServiceAccount(id=v.id("svc"), name=robot, name_key=robot, role="developer", **own)
    yield ApiKey(
        id=v.id("apikey"),
        name=v.mark("key", C.KEYS_READ, C.AUDIT_READ),
        prefix=v.mark("mx", C.KEYS_READ, C.AUDIT_READ),
        secret_hash=vault().lookup_hash(f"key of {v.organization.id}"),
        scopes=["inference"],
        created_by=v.owner.id,
        project_id=v.id("proj"),
        **own,
    )


def _used(v: Victim) -> Iterator[Table]:
    own: Any = {"organization_id": v.organization.id}
    meter = v.mark("meter", C.USAGE_READ, C.METERS_WRITE)
    yield Meter(
        id=v.id("mtr"),
        slug="pages",
        name=meter,
        event_type="page",
        aggregation="count",
        created_at=LONG_AGO,
        **own,
    )
    yield GatewayRequest(
        id=v.id("req"),
        key_id=v.id("apikey"),
        account_id=v.owner.id,
        model=v.mark("asked", C.USAGE_READ),
        endpoint="chat",
        status=200,
        started_at=JUST_NOW,
        cost=v.amount(C.COST_READ),
        currency="USD",
        address=v.mark("caller"),
        trace_id=v.mark("trace", C.USAGE_READ),
        **own,
    )
    yield UsageEvent(
        source=v.mark("source"),
        event_id="1",
        type="page",
        time=JUST_NOW,
        received_at=JUST_NOW,
        properties={"page": v.mark("property")},
        content_hash=b"h",
        **own,
    )
    sums: Any = {
        **own, "meter_id": v.id("mtr"), "bucket": JUST_NOW.replace(second=0, microsecond=0), "events": 1,
        "model": v.mark("counted", C.USAGE_READ), "key_id": v.id("apikey"),
        "quantity": Decimal(1),
    }  # fmt: skip
    yield UsageDelta(**sums, cost=v.amount(C.COST_READ))
    for kind in (UsageMinute, UsageHour, UsageDay):
        yield kind(**sums, cost=Decimal(0))


def _made(v: Victim) -> Iterator[Table]:
    own: Any = {"organization_id": v.organization.id}
    yield Event(
        type="api_key.created",
        aggregate_id=v.id("apikey"),
        actor_id=v.owner.id,
        address=v.mark("from", C.AUDIT_READ, C.STAFF_AUDIT_READ),
        payload={"name": v.mark("did", C.AUDIT_READ, C.STAFF_AUDIT_READ)},
        happened_at=JUST_NOW,
        recorded_at=JUST_NOW,
        **own,
    )
    yield IdempotencyRecord(
        key=v.repeat_key, fingerprint=b"f", status=201, created_at=JUST_NOW, expires_at=SOON, **own,
        body=_sealed(v, "answer", v.organization.id, "idempotency_record", "body", v.repeat_key),
    )  # fmt: skip
    yield StoredFile(
        id=v.id("file"),
        purpose="export",
        name=v.mark("file", C.FILES_READ, C.TASKS_READ, C.STAFF_PAYMENTS_READ),
        content_type="text/csv",
        size_bytes=1,
        sha256=b"s",
        created_by=v.owner.id,
        created_at=LONG_AGO,
        stored_at=LONG_AGO,
        **own,
    )
    yield Task(
        id=v.id("task"),
        asked_by=v.owner.id,
        kind="export",
        dedupe_key="d",
        state="waiting",  # and for long: ended by whoever may end it
        result={"rows": v.mark("result", C.TASKS_READ)},
        error=v.mark("error", C.TASKS_READ),
        file_id=v.id("file"),
        due_at=SOON,
        created_at=LONG_AGO,
        **own,
    )


def _booked(v: Victim) -> Iterator[Table]:
    own: Any = {"organization_id": v.organization.id}
    yield LedgerAccount(
        id=v.id("lacc"), currency="USD", purpose="cash", kind="asset", created_at=LONG_AGO, **own
    )
    journal: Any = {**own, "happened_at": LONG_AGO}
    yield LedgerJournal(
        id=v.id("jrnl"),
        key=v.mark("act", C.LEDGER_READ, C.STAFF_LEDGER_READ),
        content_hash=b"h",
        kind="payment",
        cause_id=v.mark("cause", C.LEDGER_READ, C.STAFF_LEDGER_READ),
        note=v.mark("noted", C.LEDGER_READ, C.STAFF_LEDGER_READ),
        entries=2,
        recorded_at=LONG_AGO,
        **journal,
    )
    for line, minor in ((1, 5), (2, -5)):
        yield LedgerEntry(
            journal_id=v.id("jrnl"),
            line=line,
            account_id=v.id("lacc"),
            currency="USD",
            minor=minor,
            **journal,
        )
    yield LedgerDeferral(
        line_id=v.mark("line"), currency="USD", minor=5, starts_at=LONG_AGO, ends_at=SOON, measure="day",
        step="month", timezone="UTC", created_at=LONG_AGO, **own,
    )  # fmt: skip


def _invoiced(v: Victim) -> Iterator[Table]:
    said = v.mark("billed", C.INVOICES_READ, C.STAFF_INVOICES_READ)
    yield entity(v.id("ent"), v.organization.id[-8:].upper(), v.mark("entity", C.STAFF_INVOICES_READ))
    yield brand(v.id("ent"), v.mark("brand", C.STAFF_INVOICES_READ))
    yield TemplateVersion(
        id=v.id("tplv"), legal_entity_id=v.id("ent"), brand_id=brand_id(v.id("ent")), number=1, created_by=v.owner.id,
        created_at=LONG_AGO,
        design={"phone": v.mark("phone", C.STAFF_INVOICES_READ)},
    )  # fmt: skip
    yield from papers(
        v.organization.id, v.id("ent"), said, {name: v.id(name) for name in ("inv", "invl", "crn")}
    )
    yield Paper(
        document_id=v.id("crn"), organization_id=v.organization.id, kind="credit_note", number=v.id("crn"),
        due_at=LONG_AGO, created_at=LONG_AGO,
    )  # fmt: skip


def _subscribed(v: Victim) -> Iterator[Table]:
    """To the plan that is on sale, with the coupon. It cannot be billed at the moment."""
    ids = {name: v.id(name) for name in ("sub", "rdm", "plan", "pchg", "cpn", "inv", "uper")} | {
        "plnv": v.ids["sold"]
    }
    said = v.mark("comment", C.SUBSCRIPTIONS_READ, C.STAFF_SUBSCRIPTIONS_READ)
    sub, *others = subscribed(v.organization.id, ids, said)
    assert isinstance(sub, Subscription)
    sub.parked_at, sub.retry_at = LONG_AGO, SOON
    sub.parked_reason = v.mark("parked", C.SUBSCRIPTIONS_READ, C.STAFF_SUBSCRIPTIONS_READ)
    yield from (sub, *others)


# How to tell that something of the victim's changed

# What may change of rows without anybody having changed them.
