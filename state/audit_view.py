"""The audit log as pages show it: entries as plain rows, and what an event says as facts that a page can write out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from models.money import Money
from services.audit.names import names_of
from services.audit.queries import AuditEntry
from services.core.actor import Actor
from services.core.ids import prefix_of
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from state import addresses
from state.format import decimal_text, instant_text

FILTER_KEYS = ("type", "actor", "object_id", "address", "recorded_at[gte]", "recorded_at[lt]")
FACTS_MAX = 24  # of one entry; how many more there are is said, and the API has all
TEXT_CHARACTERS_MAX = 300
ID_END_CHARACTERS = 6  # of what has no name: enough to tell two in a log apart

# Fingerprints and keys that say nothing to a person, and what only the demo's own story needs.
UNSAID = frozenset({"key", "payment_key", "sha256", "token_id", "made"})

# In which family of the catalogue the codes of a fact have their words: by the event's type and the fact, by what the
# event is of and the fact, or by the fact alone. What is not here is said as it was written.
OTHER_WORDS = "audit.value"
WORDS = {
    "account.password_changed.by": OTHER_WORDS,
    "action": "dunning.action",
    "advice": OTHER_WORDS,
    "aggregation": OTHER_WORDS,
    "behaviour": "choose.behaviour_of",
    "billing_profile.state": "tax_number.state",
    "budget.action": "budgets.action",
    "changed": OTHER_WORDS,
    "collection": "subscription.collection_of",
    "contest.state": "contests.state",
    "destination": "refunds.destination",
    "direction": OTHER_WORDS,
    "dispute.after": "disputes.state",
    "dispute.before": "disputes.state",
    "dispute.state": "disputes.state",
    "field": OTHER_WORDS,
    "fields": OTHER_WORDS,
    "initiator": OTHER_WORDS,
    "kind": OTHER_WORDS,
    "ledger.kind": "ledger.kind",
    "measure": OTHER_WORDS,
    "meter": "meter",
    "method_setup.state": OTHER_WORDS,
    "missing": OTHER_WORDS,
    "occasion": "terms.occasion_of",
    "organization.kind": "organizations.kind",
    "outcome": "dunning.outcome",
    "payment.code": OTHER_WORDS,
    "payment.state": "payments.state",
    "payment_case.cause": "cases.cause",
    "payment_case.kind": "cases.kind",
    "provider": "provider_accounts.of",
    "purpose": OTHER_WORDS,
    "role": "role",
    "scopes": "keys.scope",
    "session.reason": OTHER_WORDS,
    "subscription.after": "subscriptions.state_of",
    "subscription.before": "subscriptions.state_of",
    "subscription.canceled.reason": "subscription.reason_of",
    "subscription.state": "subscriptions.state_of",
    "wallet.source": "wallets.source",
    "what": OTHER_WORDS,
}

_SUMS = frozenset({"unit_amount", "spent", "limit", "price"})  # in the currency's major unit
_PLAIN = frozenset({"year", "month"})  # numbers that are not counted
_C = Capability


@dataclass(frozen=True, slots=True)
class Place:
    """The page of one thing, or of all of its kind, and what one needs to read it."""

    path: str
    needs: Capability

    def of(self, row_id: str) -> str:
        return self.path.replace("[id]", row_id)


PORTAL_PLACES = {
    "acc": Place("/portal/members", _C.MEMBERS_READ),
    "apikey": Place("/portal/keys", _C.KEYS_READ),
    "bud": Place("/portal/budgets", _C.BUDGETS_READ),
    "inv": Place("/portal/invoices/[id]", _C.INVOICES_READ),
    "jrnl": Place("/portal/ledger/journals/[id]", _C.LEDGER_READ),
    "pay": Place("/portal/payments/[id]", _C.PAYMENTS_READ),
    "proj": Place("/portal/projects", _C.PROJECTS_READ),
    "sub": Place("/portal/subscriptions/[id]", _C.SUBSCRIPTIONS_READ),
    "svc": Place("/portal/service-accounts", _C.SERVICE_ACCOUNTS_READ),
}
STAFF_PLACES = {
    "dsp": Place("/governance/disputes/[id]", _C.STAFF_PAYMENTS_READ),
    "ent": Place("/governance/legal-entities/[id]", _C.STAFF_INVOICES_READ),
    "inv": Place("/governance/invoices/[id]", _C.STAFF_INVOICES_READ),
    "jrnl": Place("/governance/ledger/journals/[id]", _C.STAFF_LEDGER_READ),
    "org": Place("/governance/organizations/[id]", _C.STAFF_ORGANIZATIONS_READ),
    "pay": Place("/governance/payments/[id]", _C.STAFF_PAYMENTS_READ),
    "pcas": Place("/governance/cases/[id]", _C.STAFF_PAYMENTS_READ),
    "plan": Place("/governance/plans/[id]", _C.STAFF_PLANS_READ),
    "pmig": Place("/governance/plan-migrations/[id]", _C.STAFF_SUBSCRIPTIONS_READ),
    "sub": Place("/governance/subscriptions/[id]", _C.STAFF_SUBSCRIPTIONS_READ),
    "tplv": Place("/governance/templates/[id]", _C.STAFF_INVOICES_READ),
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose `page` of the log it is, what they may see by name, and where that is."""

    page: str
    actor: Actor
    places: Mapping[str, Place]
    names: Mapping[str, str]

    def href(self, row_id: str) -> str:
        """Where `row_id` is, or else all that happened to it."""
        place = self.places.get(prefix_of(row_id))
        if place is not None and self.actor.may(place.needs):
            return place.of(row_id)
        return addresses.with_query(self.page, {"object_id": row_id})


async def entries_shown(
    uow: UnitOfWork, entries: Sequence[AuditEntry], page: str, places: Mapping[str, Place]
) -> list[dict[str, Any]]:
    """The rows of the table on `page`, which leads to `places`."""
    ids = {one for entry in entries for one in (entry.object_id, *_ids_in(entry.details.values()))}
    reader = Reader(page, uow.actor, places, await names_of(uow, ids))
    return [_entry_shown(entry, reader) for entry in entries]


def _entry_shown(entry: AuditEntry, reader: Reader) -> dict[str, Any]:
    """The object leads to all that happened to it."""
    return {
        "id": str(entry.id),
        "recorded_at": instant_text(entry.recorded_at),
        "type": entry.type,
        "actor": entry.actor_name or entry.actor_id,
        "actor_kind": entry.actor_kind,
        "actor_id": entry.actor_id,
        "actor_href": addresses.with_query(reader.page, {"actor": entry.actor_id}),
        "object": entry.object_id,
        "object_name": reader.names.get(entry.object_id, ""),
        "object_href": addresses.with_query(reader.page, {"object_id": entry.object_id}),
        "organization": entry.organization_name or (entry.organization_id or ""),
        "address": entry.address,
        "detail": facts_of(entry.type, entry.details, reader),
    }


def facts_of(event_type: str, details: Mapping[str, Any], reader: Reader) -> list[dict[str, str]]:
    """What an event says beside its type, in values that a page can write out.

    A fact of several values is several; only the first has its `name`. `kind` is one of components/format, or `word`
    of the family `words` (`plain`, where the family has none), `link` to `href` (`plain` is its id), `text`, `yes`, and
    `more`, which ends what was cut off by the number of those left out.
    """
    given = {name: value for name, value in details.items() if name not in UNSAID and _says_something(value)}
    currency = str(details.get("currency") or "")
    if currency and any(_is_sum(name, details) for name in given):
        del given["currency"]
    facts: list[dict[str, str]] = []
    for name, value in given.items():
        for place, one in enumerate(_several(value)):
            fact = _fact(event_type, name, one, details, reader)
            facts.append(_BARE | {"name": "" if place else name, "currency": currency} | fact)
    left_out = len(facts) - FACTS_MAX
    if left_out <= 0:
        return facts
    return [*facts[:FACTS_MAX], _BARE | {"kind": "more", "value": str(left_out)}]


_BARE = {"name": "", "words": "", "plain": "", "href": "", "currency": ""}


def _several(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _says_something(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [])


def _is_sum(name: str, details: Mapping[str, Any]) -> bool:
    return name.split("_")[-1] == "minor" or (name in _SUMS and details.get("measure") != "tokens")


def _fact(
    event_type: str, name: str, value: Any, details: Mapping[str, Any], reader: Reader
) -> dict[str, str]:
    currency = details.get("currency")
    if value is True:
        return {"kind": "yes", "value": ""}
    if _is_sum(name, details) and currency:
        exact = Money(value, currency).amount if isinstance(value, int) else Decimal(value)
        return {"kind": "money", "value": decimal_text(exact)}
    if name in _SUMS:
        return {"kind": "number", "value": decimal_text(Decimal(value))}
    if name in ("rate", "percent"):
        return {"kind": "percent", "value": decimal_text(Decimal(value) / (100 if name == "percent" else 1))}
    if isinstance(value, int):
        kind = "bytes" if name == "size_bytes" else "text" if name in _PLAIN else "number"
        return {"kind": kind, "value": str(value)}
    return _said(event_type, name, str(value), reader)


def _said(event_type: str, name: str, text: str, reader: Reader) -> dict[str, str]:
    if (moment := _moment(text)) is not None:
        return {"kind": moment, "value": text}
    if prefix_of(text):
        if text.startswith("acc_") and text not in reader.names:
            return {"kind": "word", "value": "other", "words": "audit.actor"}
        named = reader.names.get(text, f"\u2026{text[-ID_END_CHARACTERS:]}")
        return {"kind": "link", "value": named, "href": reader.href(text), "plain": text}
    family = next((WORDS[key] for key in _keys(event_type, name) if key in WORDS), "")
    if family:
        return {"kind": "word", "value": text, "words": family, "plain": text.replace("_", " ")}
    cut = text if len(text) <= TEXT_CHARACTERS_MAX else f"{text[: TEXT_CHARACTERS_MAX - 1]}\u2026"
    return {"kind": "text", "value": cut}


def _keys(event_type: str, name: str) -> tuple[str, str, str]:
    return f"{event_type}.{name}", f"{event_type.partition('.')[0]}.{name}", name


def _moment(text: str) -> str | None:
    """How an instant or a day is written out; None for any other text."""
    if _DAY.fullmatch(text):
        return "date" if _is_day(text) else None
    if not _INSTANT.match(text):
        return None
    try:
        return "datetime" if datetime.fromisoformat(text).tzinfo else None
    except ValueError:
        return None


_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _ids_in(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        yield from (one for one in _several(value) if isinstance(one, str) and prefix_of(one))
