"""What people are told about, whom, by which way, and in which words: one table of topics, one of events.

A title never holds what a person typed: it becomes the subject of a mail. Bodies may; whoever shows them escapes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from models.money import Money
from models.refunds import RefundTo
from models.types import Role
from services.core.ids import is_id
from services.core.permissions import ROLE_CAPABILITIES, Capability
from services.core.relay import Delivered
from services.notify import charges, house_words, trials
from services.notify.declared import Channel, Telling, Topic
from services.notify.list_names import LISTS
from services.notify.words import Facts, Words

__all__ = ["TELLINGS", "TOPICS", "Channel", "Telling", "Topic"]

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        # Mail about one's own account is written by services/notify/service.py, in any case and at once.
        Topic("security", in_app=True, mail=True, locked=True),
        Topic("access", in_app=True, mail=True),
        Topic("team", in_app=True, mail=False),
        Topic("keys", in_app=True, mail=False),
        Topic("spending", in_app=True, mail=True),
        Topic("documents", in_app=True, mail=True),
        # What is owed is said in any case; its mails are written by services/dunning/mails.py.
        Topic("payments", in_app=True, mail=True, locked=True),
        Topic("charges", in_app=True, mail=True),
        Topic("cases", in_app=True, mail=True),
        Topic("receipts", in_app=True, mail=True),
        Topic("disputes", in_app=True, mail=True),
        Topic("refunds", in_app=True, mail=True),
        Topic("installation", in_app=True, mail=True),
        Topic("task_done", in_app=True, mail=False),
        Topic("task_failed", in_app=True, mail=True),
    )
}


# -- whom


def _member(event: Delivered) -> str | None:
    """Whom a membership is of, unless they did it themselves."""
    account_id = event.payload.get("account_id")
    return None if account_id == event.actor_id else account_id


def _asker(event: Delivered) -> str | None:
    asked_by = str(event.payload.get("asked_by", ""))
    return asked_by if is_id(asked_by, "acc") else None


def _owner(event: Delivered) -> str | None:
    return event.aggregate_id


def _on_new_device(event: Delivered) -> str | None:
    return event.payload.get("account_id") if event.payload.get("new_device") else None


# -- in which words


def _key(title: str, verb: str) -> Callable[[Delivered, Facts], Words]:
    def say(event: Delivered, facts: Facts) -> Words:
        name = str(event.payload.get("name", ""))
        which = f"the API key \u201c{name}\u201d" if name else "an API key"
        return Words(title, f"{facts.actor} {verb} {which} of {facts.organization}.", "/portal/keys")

    return say


def _access(title: str, sentence: str) -> Callable[[Delivered, Facts], Words]:
    def say(event: Delivered, facts: Facts) -> Words:
        role = str(event.payload.get("role", ""))
        body = sentence.format(actor=facts.actor, organization=facts.organization, role=role)
        return Words(title, body, "/portal")

    return say


def _team(title: str, sentence: str) -> Callable[[Delivered, Facts], Words]:
    def say(event: Delivered, facts: Facts) -> Words:
        role = str(event.payload.get("role", ""))
        body = sentence.format(person=facts.person, organization=facts.organization, role=role)
        return Words(title, body, "/portal/audit")

    return say


_MOVES = "plan_migration"  # a kind of tasks; others write lists out


def _task_done(event: Delivered, facts: Facts) -> Words:
    if event.payload.get("kind") == _MOVES:
        return Words(
            "Subscriptions were moved", f"{event.payload.get('title')} is done.", "/governance/plans"
        )
    about = LISTS.get(event.payload.get("title", ""), "a list")
    return Words(
        "Your export is ready", f"The export of {about} of {facts.organization} is done.", "/portal/tasks"
    )


def _task_failed(event: Delivered, facts: Facts) -> Words:
    about = LISTS.get(event.payload.get("title", ""), "a list")
    why = str(event.payload.get("error", ""))
    if event.payload.get("kind") == _MOVES:
        body = f"{event.payload.get('title')} was not finished. {why}".strip()
        return Words("Subscriptions were not all moved", body, "/governance/plans")
    return Words(
        "Your export failed",
        f"The export of {about} of {facts.organization} failed. {why}".strip(),
        "/portal/tasks",
    )


def _budget(event: Delivered, facts: Facts) -> Words:
    said = event.payload
    unit = said.get("currency") if said.get("measure") == "cost" else "tokens"
    stops = ""
    if said["percent"] >= 100:
        if said.get("stops"):
            stops = " Calls that would go beyond it are refused."
        elif said.get("throttles"):
            stops = " Calls are slowed down until it begins anew."
    return Words(
        f"A budget has reached {said.get('percent')} %",
        f"\u201c{said.get('name')}\u201d of {facts.organization}: {said.get('spent')} of {said.get('limit')} {unit} are"
        f" used.{stops}",
        "/portal/budgets",
    )


def _moved(event: Delivered, facts: Facts) -> Words:
    since = str(event.payload.get("effective_at", ""))[: len("2026-01-31")]
    return Words(
        "A plan has new prices",
        f"What {facts.organization} has is moved to them on {since}. The page of the subscription says what it costs.",
        f"/portal/subscriptions/{event.aggregate_id}",
    )


def _top_up(event: Delivered, facts: Facts) -> Words:
    return Words(
        "A wallet is to be topped up",
        f"The wallet of {facts.organization} fell below its threshold, and {_money(event)} are asked for. The page says"
        " how to pay.",
        "/portal/wallet/top-ups",
    )


_NO_SUCH_NUMBER = """
select 1 from billing_profile where organization_id = :id and tax_number ->> 'state' = 'invalid'
"""


def _number_unknown(_event: Delivered, facts: Facts) -> Words:
    return Words(
        "A tax number was not found",
        f"Its register does not know the tax number of {facts.organization}. Invoices charge tax as for somebody"
        " without one until it is corrected.",
        "/portal/billing-profile",
    )


def _money(event: Delivered) -> str:
    return Money(int(event.payload["minor"]), str(event.payload["currency"])).said()


def _paid(event: Delivered, facts: Facts) -> Words:
    over = int(event.payload["over_minor"])
    kept = Money(over, str(event.payload["currency"])).said()
    rest = f" {kept} of it is kept as a credit, and pays the next invoice." if over else ""
    return Words(
        "A payment came",
        f"{_money(event)} of {facts.organization} came. The page of the payment is your receipt.{rest}",
        f"/portal/payments/{event.aggregate_id}",
    )


def _refunded(event: Delivered, facts: Facts) -> Words:
    to = "It goes back to where it came from, which takes banks some days."
    if event.payload.get("destination") == RefundTo.CREDIT:
        to = "It is kept as a credit, and pays the next invoice."
    return Words(
        "Money was given back",
        f"{_money(event)} of a payment of {facts.organization}. {to}",
        f"/portal/payments/{event.payload['payment_id']}",
    )


def _to_approve(event: Delivered, facts: Facts) -> Words:
    return Words(
        "A refund waits for approval",
        f"{facts.actor} asks to give {_money(event)} back to {facts.organization}.",
        f"/governance/payments/{event.payload['payment_id']}",
    )


def _overdue(event: Delivered, facts: Facts) -> Words:
    number = str(event.payload.get("number", ""))
    return Words(
        "An invoice is overdue",
        f"Invoice {number} of {facts.organization} is overdue. Pay it to keep everything working.",
        f"/portal/invoices/{event.payload.get('invoice_id')}",
    )


def _disputed(event: Delivered, facts: Facts) -> Words:
    said = event.payload
    money = Money(int(said["minor"]), str(said["currency"])).said()
    verb = "asks about" if str(said["state"]).startswith("warning") else "takes back"
    body = f"The bank {verb} {money} of {facts.organization}: {said['reason']}."
    return Words("A payment is disputed", body, f"{DISPUTES}/{event.aggregate_id}")


def _answer_due(title: str, page: str) -> Callable[[Delivered, Facts], Words]:
    def say(event: Delivered, facts: Facts) -> Words:
        days = int(event.payload.get("days", 0))
        when = f"in {days} days at the latest" if days > 1 else ("by now", "tomorrow at the latest")[days]
        href = f"{page}/{event.aggregate_id}" if page == DISPUTES else page
        return Words(title, f"That of {facts.organization} has to be answered {when}.", href)

    return say


def _contested(event: Delivered, facts: Facts) -> Words:
    money = Money(int(event.payload["minor"]), str(event.payload["currency"])).said()
    return Words("An invoice is contested", f"{facts.organization} contests {money}.", CONTESTS)


def _contest_ended(event: Delivered, facts: Facts) -> Words:
    ends = {
        "credited": ("A credit note was issued for what you contest", "was credited"),
        "refused": ("What you contest was not credited", "was not credited; the invoice says why"),
    }
    title, what = ends.get(
        str(event.payload["state"]), ("A contest was withdrawn", "is not contested any more")
    )
    body = f"What {facts.organization} contested of an invoice {what}."
    return Words(title, body, f"/portal/invoices/{event.payload['invoice_id']}")


def _security(title: str, body: str) -> Callable[[Delivered, Facts], Words]:
    return lambda _event, _facts: Words(title, body, "/account")


DISPUTES, CONTESTS = "/governance/disputes", "/governance/contests"
_OWN = "If it was not you, set a new password at once."
_HOLDERS = Capability.MEMBERS_WRITE

TELLINGS: dict[str, tuple[Telling, ...]] = {
    "api_key.created": (
        Telling("keys", _key("An API key was created", "created"), holders=Capability.AUDIT_READ),
    ),
    "api_key.rotated": (
        Telling("keys", _key("An API key was rotated", "rotated"), holders=Capability.AUDIT_READ),
    ),
    "api_key.revoked": (
        Telling("keys", _key("An API key was revoked", "revoked"), holders=Capability.AUDIT_READ),
    ),
    "budget.threshold_reached": (Telling("spending", _budget, holders=Capability.BUDGETS_READ),),
    "subscription.moved": (Telling("spending", _moved, holders=Capability.SUBSCRIPTIONS_READ),),
    "wallet.top_up_due": (Telling("spending", _top_up, holders=Capability.WALLET_READ),),
    "billing_profile.tax_number_checked": (
        Telling(
            "spending", _number_unknown, holders=Capability.BILLING_PROFILE_WRITE, while_found=_NO_SUCH_NUMBER
        ),
    ),
    **charges.TELLINGS,
    **trials.TELLINGS,
    "payment.succeeded": (Telling("receipts", _paid, holders=Capability.PAYMENTS_READ),),
    "refund.requested": (Telling("refunds", _to_approve, staff=Capability.STAFF_REFUNDS_APPROVE),),
    "refund.succeeded": (Telling("refunds", _refunded, holders=Capability.PAYMENTS_READ),),
    "invariant.broken": (Telling("installation", house_words.broken, staff=Capability.STAFF_HEALTH_READ),),
    "paper.parked": (
        Telling("documents", house_words.parked, staff=Capability.STAFF_INVOICES_WRITE, once=True),
    ),
    "dunning.reminded": (Telling("payments", _overdue, holders=Capability.PAYMENTS_WRITE, mailed=False),),
    "dispute.opened": (Telling("disputes", _disputed, staff=Capability.STAFF_PAYMENTS_WRITE),),
    "dispute.answer_due": (
        Telling(
            "disputes",
            _answer_due("A dispute has to be answered", DISPUTES),
            staff=Capability.STAFF_PAYMENTS_WRITE,
        ),
    ),
    "contest.opened": (Telling("disputes", _contested, staff=Capability.STAFF_PAYMENTS_WRITE),),
    "contest.answer_due": (
        Telling(
            "disputes",
            _answer_due("A contest has to be answered", CONTESTS),
            staff=Capability.STAFF_PAYMENTS_WRITE,
        ),
    ),
    "contest.ended": (Telling("disputes", _contest_ended, holders=Capability.PAYMENTS_READ),),
    "membership.created": (
        Telling(
            "access",
            _access("You were added to an organisation", "{actor} added you to {organization} as {role}."),
            person=_member,
        ),
        Telling(
            "team", _team("Somebody joined", "{person} joined {organization} as {role}."), holders=_HOLDERS
        ),
    ),
    "membership.changed": (
        Telling(
            "access",
            _access("Your role was changed", "{actor} changed your role in {organization} to {role}."),
            person=_member,
        ),
    ),
    "membership.suspended": (
        Telling(
            "access",
            _access("Your membership was suspended", "{actor} suspended your membership in {organization}."),
            person=_member,
        ),
    ),
    "membership.resumed": (
        Telling(
            "access",
            _access("Your membership was resumed", "You can work in {organization} again."),
            person=_member,
        ),
    ),
    "membership.ended": (
        Telling(
            "access",
            _access("You were removed from an organisation", "{actor} removed you from {organization}."),
            person=_member,
        ),
    ),
    "membership.left": (
        Telling("team", _team("Somebody left", "{person} left {organization}."), holders=_HOLDERS),
    ),
    "task.finished": (Telling("task_done", _task_done, person=_asker, of_member=True),),
    "task.failed": (Telling("task_failed", _task_failed, person=_asker, of_member=True),),
    "account.password_changed": (
        Telling("security", _security("Your password was changed", _OWN), person=_owner, mailed=False),
    ),
    "authenticator.enabled": (
        Telling("security", _security("Two-step verification is on", _OWN), person=_owner, mailed=False),
    ),
    "authenticator.disabled": (
        Telling("security", _security("Two-step verification is off", _OWN), person=_owner, mailed=False),
    ),
    "recovery_codes.replaced": (
        Telling(
            "security", _security("Your recovery codes were replaced", _OWN), person=_owner, mailed=False
        ),
    ),
    "recovery_codes.used": (
        Telling("security", _security("A recovery code was used", _OWN), person=_owner, mailed=False),
    ),
    "session.started": (
        Telling(
            "security",
            _security("A new browser signed in to your account", _OWN),
            person=_on_new_device,
            mailed=False,
        ),
    ),
}


def topics_for(roles: Collection[Role], staff_roles: Collection[Role]) -> list[Topic]:
    """Those of which somebody may be told who has `roles` in any organisation, and `staff_roles` in the operator's."""
    named = {
        one.topic
        for tellings in TELLINGS.values()
        for one in tellings
        if _may_be_told(one, roles, staff_roles)
    }
    return [topic for topic in TOPICS.values() if topic.name in named]


def _may_be_told(telling: Telling, roles: Collection[Role], staff_roles: Collection[Role]) -> bool:
    if telling.person is not None:
        return True
    needs, among = (telling.holders, roles) if telling.staff is None else (telling.staff, staff_roles)
    return any(needs in ROLE_CAPABILITIES[role] for role in among)
