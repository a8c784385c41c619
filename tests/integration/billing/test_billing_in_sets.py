"""What is billed in sets comes out as if each had been billed by itself, and what is not plain is left for that."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.billing import ZeroDocuments
from models.money import Money
from services.billing import brands, entities, invoices
from services.billing.discounts import Duration
from services.billing.new_lines import manual_line
from services.billing.numbering import Reset
from services.billing.profiles import ProfileFields
from services.billing_runs import running, set_billing
from services.billing_runs.running import Counts, Due
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.invariants.book import RevenueIsEarnedInTime
from services.payments import transfers
from services.subscriptions import subscriptions
from services.subscriptions.selecting import Wanted
from services.tax.engine import Exemption
from services.tax.rules import CheckedNumber, NumberState, RoundingLevel
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import BUYER, GERMAN, MARCH, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

APRIL, MAY = datetime(2026, 4, 1, 12, tzinfo=UTC), datetime(2026, 5, 1, 12, tzinfo=UTC)
NOT_HERE = (*MADE_BY_HAND, RevenueIsEarnedInTime)  # no relay runs, and no revenue
AT_MAY = FixedClock(MAY)
ENTITIES = {
    "": replace(GERMAN, grace_hours=0),
    "monthly": replace(
        GERMAN, code="DE2", is_usual=False, tax_rounding=RoundingLevel.DOCUMENT, timezone="Asia/Tokyo",
        invoice_pattern="{entity}-{year}-{month}-{seq:4}", invoice_reset=Reset.MONTHLY,
    ),
    "sparing": replace(GERMAN, code="DE3", is_usual=False, zero_documents=ZeroDocuments.DROP),
    "branded": replace(
        GERMAN, code="DE4", is_usual=False, invoice_pattern="{entity}-{brand}-{seq}", invoice_reset=Reset.NEVER
    ),
}  # fmt: skip
FRENCH = ProfileFields("Dupont", "Rue 1", "FR", "fr")
AUSTRIAN = ProfileFields(
    "Huber", "Gasse 1", "AT",
    tax_number=CheckedNumber("AT", "ATU12345675", NumberState.VALID, MARCH, "VIES", "WAPIAAAA"),
)  # fmt: skip
EXEMPT = replace(BUYER, exemption=Exemption("VATEX-EU-132", "Teaching", "paper 7", date(2026, 1, 1)))


@dataclass(frozen=True, slots=True)
class Customer:
    """Who subscribes to what. `then` is what happens after that; `together` says whether a set bills it."""

    plan: str
    interval: str = "month"
    currency: str = "EUR"
    profile: ProfileFields | None = BUYER
    entity: str = ""
    brand: str = ""  # another one than the default of the entity
    since: datetime = APRIL
    then: str = ""
    together: bool = True
    seats: int | None = None
    coupon: str = ""


CUSTOMERS = {
    "plain": Customer("base"),
    "second": Customer("base", then="another"),
    "seats": Customer("base", entity="monthly", seats=7, then="addon"),
    "yen": Customer("yen", currency="JPY", seats=3),
    "dinar": Customer("dinar", currency="KWD"),
    "year": Customer("year", "year", since=datetime(2025, 5, 1, 12, tzinfo=UTC)),
    "arrears": Customer("arrears", entity="monthly"),
    "trial": Customer("trial"),
    "free": Customer("free"),
    "unsaid": Customer("free", entity="sparing"),
    "default brand": Customer("base", entity="branded"),
    "other brand": Customer("base", entity="branded", brand="BLUE"),
    "french": Customer("base", profile=FRENCH, seats=3),
    "austrian": Customer("base", profile=AUSTRIAN),
    "american": Customer("base", profile=ProfileFields("Smith", "Road 1", "US")),
    "exempt": Customer("base", profile=EXEMPT),
    "with tax": Customer("with tax", seats=2),
    "with tax together": Customer("with tax", seats=2, entity="monthly"),
    "coupon": Customer("base", coupon="TENTH", together=False),
    "used": Customer("metered", together=False),
    "mixed": Customer("base", then="metered", together=False),
    "unmetered": Customer("metered", then="upgrade", together=False),
    "canceled": Customer("base", then="cancel", together=False),
    "changed": Customer("dear", then="downgrade", together=False),
    "credited": Customer("base", then="credit", together=False),
    "drafted": Customer("base", then="draft", together=False),
    "behind": Customer("day", "day", together=False, since=APRIL + timedelta(days=28)),
    "unknown": Customer("trial", profile=None, together=False),
}


class Market:
    """Plans, entities, and customers of all kinds whose subscriptions are due in May."""

    def __init__(self, sold: Subscribers) -> None:
        self.sold = sold
        self.plans: dict[str, str] = {}
        self.entities: dict[str, str] = {}
        self.brands: dict[str, str] = {}

    async def open(self, world: World) -> None:
        for name, fields in ENTITIES.items():
            if name:
                async with crossing(Reason.STAFF, actor=system(), on=world.database) as uow:
                    self.entities[name] = (await entities.add_entity(uow, fields)).id
                    if name == "branded":
                        added = await brands.add_brand(uow, self.entities[name], code="BLUE", name="Blue")
                        self.brands["BLUE"] = added.id
        base = price("base", "flat", "60"), price("seats", "seat", "7.77", quantity_min=Decimal(1))
        setup = price("setup", "one_off", "99", quantity_min=Decimal(1))
        for name, charges, trial_days in (
            ("base", base, 0),
            ("dear", (price("base", "flat", "90"), base[1]), 0),
            ("trial", (base[0], setup), 30),
            ("yen", (price("base", "flat", "1234.5", "JPY"), price("seats", "seat", "3.333333", "JPY")), 0),
            ("dinar", (price("base", "flat", "12.3456", "KWD"),), 0),
            ("year", (price("base", "flat", "600", interval="year"),), 0),
            ("arrears", (base[0], price("later", "flat", "33.33", timing="arrears")), 0),
            ("free", (price("base", "flat", "0"),), 0),
            ("metered", (base[0], price("tokens", "metered", "0.01", meter="prompt_tokens")), 0),
            ("with tax", (price("base", "flat", "59.99", tax_inclusive=True), base[1]), 0),
            ("day", (price("base", "flat", "1", interval="day"),), 0),
        ):
            self.plans[name] = (await self.sold.plan(*charges, trial_days=trial_days)).id
        extra = price("more", "seat", "5.05", quantity_min=Decimal(1))
        self.plans["addon"] = (await self.sold.plan(extra, addon_to=(self.plans["base"],))).id
        await self.sold.coupon("TENTH", rate=Decimal("0.1"), duration=Duration.FOREVER)

    async def people(self, prefix: str, *names: str) -> None:
        """All of them, or those that are named."""
        for name in names or CUSTOMERS:
            one = CUSTOMERS[name]
            profile = one.profile
            if profile is not None and one.entity:
                profile = replace(profile, legal_entity_id=self.entities[one.entity])
                profile = replace(profile, brand_id=self.brands.get(one.brand))
            self.sold.shop.now = one.since
            await self.sold.shop.new_customer(profile, name=f"{prefix} {name}")
            await self.subscribe(one)

    async def subscribe(self, one: Customer) -> None:
        async def start(plan: str, key: str, **more: Any) -> Any:
            wanted = Wanted(self.plans[plan], one.currency, one.interval, **more)
            async with self.sold.shop.work() as uow:
                return await subscriptions.start(uow, wanted, key=key, coupon=one.coupon)

        seats = {"quantities": {"seats": Decimal(one.seats)}} if one.seats is not None else {}
        addons = {"addons": {self.plans["addon"]: {"more": Decimal(3)}}} if one.then == "addon" else {}
        made = await start(one.plan, "first", **seats, **addons)
        sold = self.sold
        match one.then:
            case "another":
                await start("base", "second", quantities={"seats": Decimal(2)})
            case "metered":
                await start("metered", "second")
            case "cancel":
                await sold.do(subscriptions.cancel, made)
            case "downgrade":
                await sold.change(made, self.plans["base"])
            case "upgrade":  # what it used before may still come in
                await sold.change(made, self.plans["dear"])
            case "credit":  # what was paid on account pays for the first one
                async with sold.shop.work() as uow:
                    await transfers.record(uow, money=Money(5_000, "EUR"), key="ahead", reference="Ahead")
            case "draft":
                async with sold.shop.work() as uow:
                    draft = await invoices.create_draft(
                        uow, key="by-hand", currency="EUR", subscription_id=made.id
                    )
                    await invoices.add_lines(
                        uow, draft.id, [manual_line("Help", Decimal(1), Decimal(20), "EUR")]
                    )
            case _:
                pass


@pytest.fixture
async def market(world: World) -> Market:
    shop = await open_shop(world, ENTITIES[""])
    shop.now = APRIL
    made = Market(Subscribers(shop))
    await made.open(world)
    return made


async def due(prefix: str) -> dict[str, list[Due]]:
    """What is due in May of the customers of that name, by who it is."""
    async with crossing(Reason.BILLING) as uow:
        found = await uow.execute(
            "select s.id, s.organization_id, s.next_at, o.name from subscription s"
            " join organization o on o.id = s.organization_id"
            " where o.name like :name and s.next_at <= :now order by s.next_at, s.id",
            name=f"{prefix} %",
            now=MAY,
        )
        made: dict[str, list[Due]] = {}
        for row in found:
            who = row.name.removeprefix(f"{prefix} ")
            made.setdefault(who, []).append(Due(row.id, row.organization_id, row.next_at))
        return made


# All that a run writes of an organisation, each row as JSON, in an order that does not depend on identifiers.
WRITTEN = {
    "subscription": "select to_jsonb(r) from subscription r where r.organization_id = :id order by r.key",
    "subscription_item": "select to_jsonb(r) from subscription_item r join subscription s on s.id = r.subscription_id"
    " where r.organization_id = :id order by s.key, r.number",
    "invoice": "select to_jsonb(r) from invoice r left join subscription s on s.id = r.subscription_id"
    " where r.organization_id = :id order by r.created_at, s.key, r.total_minor, r.sequence",
    "invoice_line": "select to_jsonb(r) from invoice_line r join invoice i on i.id = r.invoice_id"
    " left join subscription s on s.id = i.subscription_id"
    " where r.organization_id = :id order by i.created_at, s.key, i.total_minor, i.sequence, r.position",
    "ledger_journal": "select to_jsonb(r) - 'content_hash' from ledger_journal r"
    " left join invoice i on i.id = r.cause_id left join subscription s on s.id = i.subscription_id"
    " where r.organization_id = :id order by r.happened_at, s.key, i.total_minor, i.sequence, r.kind",
    "ledger_entry": "select to_jsonb(r) || jsonb_build_object('account_id', a.purpose) from ledger_entry r"
    " join ledger_account a on a.id = r.account_id join ledger_journal j on j.id = r.journal_id"
    " left join invoice i on i.id = j.cause_id left join subscription s on s.id = i.subscription_id"
    " where r.organization_id = :id order by r.happened_at, s.key, i.total_minor, i.sequence, j.kind, r.line",
    "ledger_deferral": "select to_jsonb(r) from ledger_deferral r join invoice_line l on l.id = r.line_id"
    " join invoice i on i.id = l.invoice_id left join subscription s on s.id = i.subscription_id"
    " where r.organization_id = :id order by r.starts_at, s.key, i.created_at, i.total_minor, i.sequence, l.position",
    "customer_credit": "select to_jsonb(r) from customer_credit r where r.organization_id = :id order by created_at",
}
TOLD = "select to_jsonb(r) from event r where r.organization_id = :id order by r.id"
# Differ from one customer to the next, whoever bills them: counters, and when it was by the clock on the wall.
COUNTED = {"id", "sequence", "recorded_at", "trace_id"}
IDENTIFIER = re.compile(r"\b[a-z]+_[0-9a-hjkmnp-tv-z]{26}\b")
NUMBER = re.compile(r"\b(DE\d-[\w-]+-)\d+\b")


class Written:
    """What is known of a customer, with its identifiers as they come: the first invoice is `inv 1`, and so on."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def plain(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.plain(key): self.plain(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.plain(one) for one in value]
        return NUMBER.sub(r"\1#", IDENTIFIER.sub(self._named, value)) if isinstance(value, str) else value

    def _named(self, found: re.Match[str]) -> str:
        prefix = found[0].partition("_")[0]
        if prefix in ("plan", "plnv", "pchg", "le"):
            return found[0]  # shared by all
        count = sum(one.startswith(f"{prefix} ") for one in self.known.values())
        return self.known.setdefault(found[0], f"{prefix} {count + 1}")


async def written(organization_id: str) -> dict[str, list[Any]]:
    made, said = Written(), dict[str, list[Any]]()
    async with crossing(Reason.INVARIANTS) as uow:
        for table, statement in WRITTEN.items():
            rows = (await uow.execute(statement, id=organization_id)).scalars().all()
            for row in rows:  # named in the order of rows, whatever order their columns have
                made.plain(row.get("id", ""))
            said[table] = [
                made.plain({name: one for name, one in row.items() if name not in COUNTED}) for row in rows
            ]
        told = (await uow.execute(TOLD, id=organization_id)).scalars().all()
    # Of one aggregate in order; those of different ones may come in any.
    events = [made.plain({k: v for k, v in row.items() if k not in COUNTED | {"position"}}) for row in told]
    said["event"] = sorted(events, key=lambda one: one["aggregate_id"])
    return said


async def test_a_set_makes_what_billing_one_by_one_makes(market: Market) -> None:
    await market.people("Alone")
    await market.people("Together")
    for of_one in (await due("Alone")).values():
        for one in of_one:
            await running.bill_one(one, clock=AT_MAY)

    asked = await due("Together")
    ids = [one.id for of_one in asked.values() for one in of_one]
    made = await set_billing.bill(ids, None, AT_MAY, lines_per_day_max=5_000, lines_per_item=4)

    left = {name for name, of_one in asked.items() if any(one.id in made.left for one in of_one)}
    assert left == {name for name, one in CUSTOMERS.items() if not one.together}
    assert made.billed == sum(len(of_one) for name, of_one in asked.items() if name not in left)
    assert len(made.left) == len(ids) - made.billed
    again = await set_billing.bill(ids, None, AT_MAY, lines_per_day_max=5_000, lines_per_item=4)
    assert (again.billed, again.left) == (0, made.left)
    rest = await running.bill_due(clock=AT_MAY)
    assert rest == Counts(due=len(made.left), billed=len(made.left))
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute("select name, id from organization")
        organizations = {row.name: row.id for row in found}
    for name in CUSTOMERS:
        alone = await written(organizations[f"Alone {name}"])
        together = await written(organizations[f"Together {name}"])
        for table, rows in alone.items():
            assert together[table] == rows, (name, table)
    await assert_invariants(but=NOT_HERE)


async def test_one_that_fails_in_the_database_parks_alone_and_the_rest_of_its_set_is_billed(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "BATCH", 2)  # sets follow one another, and one of them fails
    await market.people("Together", "plain", "second", "yen", "unknown", "french")
    asked = await due("Together")
    taken = asked["plain"][0]
    async with crossing(
        Reason.DEMO
    ) as uow:  # somebody else's document has the key that its own one would have
        await uow.execute(
            "insert into invoice select (jsonb_populate_record(i, jsonb_build_object('id', 'inv_taken',"
            " 'key', :id || '.2', 'state', 'draft', 'subscription_id', null, 'memo', 'Other', 'number', null,"
            " 'sequence', null, 'finalized_at', null, 'due_minor', 0))).* from invoice i where subscription_id = :id",
            id=taken.id,
        )
    count = sum(len(of_one) for of_one in asked.values())
    counts = await running.bill_due(clock=AT_MAY)
    assert counts == Counts(due=count, billed=count - 1, parked=1)
    async with crossing(Reason.BILLING) as uow:
        parked = await uow.execute("select id from subscription where parked_at is not null")
        assert set(parked.scalars()) == {taken.id}
        assert (
            await uow.execute("select count(*) from subscription where next_at <= :now", now=MAY)
        ).scalar_one() == 1
