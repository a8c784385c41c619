"""What to try for each parameter of a route and of a page's handler: by its name, the same everywhere.

A new parameter that is not here fails the walk. Add it with something of the victim's where it names a row, and
with something the route accepts where it does not: an attempt that is refused for its form proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.walk.victim import Victim

Maker = Callable[[Victim], Any]


class LEAVE_OUT:  # noqa: N801 - a mark, not a kind
    """Says that a parameter would only get in the way of what the others try."""


def _of(prefix: str) -> Maker:
    return lambda victim: victim.id(prefix)


def _plain(value: Any) -> Maker:
    return lambda _: value


# Ids of the victim's rows: whoever is in another organisation must be told that there is no such row.
THEIRS: dict[str, Maker] = {
    "account_id": _of("acc"),
    "budget_id": _of("bud"),
    "credit_note_id": _of("crn"),
    "document_id": _of("inv"),
    "debit_id": _of("wdeb"),
    "file_id": _of("file"),
    "top_up_id": _of("wtop"),
    "invitation_id": _of("invite"),
    "invoice_id": _of("inv"),
    "journal_id": _of("jrnl"),
    "key_id": _of("apikey"),
    "ledger_account_id": _of("lacc"),
    "line_id": _of("invl"),
    "member_id": _of("acc"),
    "notification_id": _of("note"),
    "organization_id": _of("org"),
    "project_id": _of("proj"),
    "request_id": _of("req"),
    "service_account_id": _of("svc"),
    "session_id": _of("ses"),
    "redemption_id": _of("rdm"),
    "subscription_id": _of("sub"),
    "task_id": _of("task"),
    "usage_period_id": _of("uper"),
}

# Rows of the house, which belong to nobody.
OF_THE_HOUSE: dict[str, Maker] = {
    "legal_entity_id": _of("ent"),
    "tax_rate_id": _of("txr"),
    "template_id": _of("tplv"),
    "coupon_id": _of("cpn"),
    "from_version_id": lambda victim: victim.ids["sold"],
    "to_version_id": _of("plnv"),
    "migration_id": _of("pmig"),
    "model_id": _of("model"),
    "plan_id": _of("plan"),
    "plan_version_id": _of("plnv"),
    "product_id": _of("prod"),
    "upstream_id": _of("ups"),
    "price_id": _of("prc"),
    "wallet_currency": _plain("USD"),
    "slug_of_a_model": lambda victim: victim.offered,
}

# Rows that a dialog of a list is opened for, by the list.
ROW_OF_LIST: dict[str, Maker] = {
    "invitations": _of("invite"),
    "keys": _of("apikey"),
    "members": _of("acc"),
    "projects": _of("proj"),
    "service_accounts": _of("svc"),
    "staff.coupons": _of("cpn"),
    "staff.subscriptions": _of("sub"),
    "subscriptions": _of("sub"),
}

QUERY: dict[str, Maker] = {
    "actor": _of("acc"),
    "address": lambda victim: victim.owner.email,
    "at": lambda _: datetime.now(UTC).isoformat(),
    "bom": _plain("true"),
    "cursor": _plain(LEAVE_OUT),  # of another tenant or query: tests/api/test_hostile_input.py
    "currency": _plain("USD"),
    "expires": _plain("4000000000"),
    "fields": _plain(LEAVE_OUT),  # of any read: tests/api/test_selected_fields.py
    "format": _plain("csv"),
    "from": lambda _: (datetime.now(UTC) - timedelta(hours=6)).isoformat(),
    "granularity": _plain("hour"),
    "group_by": _plain("key"),
    "key": _of("apikey"),
    "kind": _plain("client"),
    "language": _plain("de"),
    "limit": _plain("100"),
    "meter": _plain("pages"),
    "model": lambda victim: victim.offered,
    "number": _plain("1"),
    "object": _of("apikey"),
    "organization": _of("org"),
    "project": _of("proj"),
    "property": _plain("page:x"),
    "purpose": _plain("attachment"),
    "search": _plain("name-canary"),
    "signature": _plain("A" * 32),
    "sort": _plain(LEAVE_OUT),
    "status": _plain("ok"),
    "to": lambda _: datetime.now(UTC).isoformat(),
    "type": _plain("api_key."),
    "unread": _plain("true"),
}

HEADERS: dict[str, Maker] = {
    "Idempotency-Key": lambda victim: victim.repeat_key,
    "If-Match": _plain('"1"'),
    "If-None-Match": _plain("*"),
}

BODY: dict[str, Maker] = {
    "by": _plain("day"),
    "follows_wall": _plain(False),
    "on": _plain(LEAVE_OUT),  # `by`
    "shows": _plain(LEAVE_OUT),
    "to": _plain(LEAVE_OUT),
    "addon_to": _plain([]),
    "addons": _plain({}),
    "agreed_minor": _plain(LEAVE_OUT),
    "anchor": _plain(LEAVE_OUT),
    "at": _plain(LEAVE_OUT),
    "at_once": _plain(False),
    "behaviour": _plain("next_period"),
    "cancel_at": _plain(LEAVE_OUT),
    "comment": _plain("Taken over."),
    "coupon": lambda victim: victim.coupon,
    "credits_unused": _plain(True),
    "interval": _plain("month"),
    "interval_count": _plain(1),
    "quantities": _plain({}),
    "after": _plain(LEAVE_OUT),
    "waiting_changes": _plain("replace"),
    "notice_days": _plain(0),
    "text": _plain("Taken over."),
    "included_credits": _plain("0"),
    "resume_at": _plain(LEAVE_OUT),
    "started_at": _plain(LEAVE_OUT),
    "aggregation": _plain("count"),
    "amount_minor": _plain(LEAVE_OUT),  # a rate
    "api_key": _plain("sk-of-the-intruder"),
    "base_url": _plain("https://models.example/v1"),
    "charge_id": _of("pchg"),
    "charges": _plain([]),
    "code": _plain("000000"),
    "connect_timeout_s": _plain(5),
    "context_tokens": _plain(1_000),
    "currency": _plain("USD"),
    "description": _plain("Taken over."),
    "duration": _plain("once"),
    "email": lambda victim: f"guest-of-{victim.owner.email}",
    "enabled": _plain(False),
    "end_keys": _plain(True),
    "endpoints": _plain(["chat"]),
    "entitlements": _plain([]),
    "event_id": _plain("1"),
    "event_type": _plain("page"),
    "events": _plain(1),
    "filters": _plain({}),
    "list": _plain("keys"),
    "file": _plain(("intruder.csv", b"a,b\n", "text/csv")),
    "expires_at": lambda _: (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    "key": _plain("an-intruders-act"),
    "kind": _plain("client"),
    "meter": _plain("prompt_tokens"),
    "meters": _plain([]),
    "model": lambda victim: victim.offered,
    "models": lambda victim: [victim.offered],
    "name": _plain("Intruder"),
    "on_hangup": _plain("cancel"),
    "overlap_hours": _plain(0),
    "password": _plain("a guess that is long enough"),
    "per_units": _plain(1_000),
    "periods": _plain(LEAVE_OUT),
    "plans": _plain([]),
    "properties": lambda victim: {"page": "x"},
    "quantity": _plain("1"),
    "rate": _plain("0.5"),
    "redemptions_max": _plain(LEAVE_OUT),
    "read_timeout_s": _plain(5),
    "requests_per_minute": _plain(1),
    "role": _plain("viewer"),
    "scopes": _plain(["inference"]),
    "slug": _plain("intruder"),
    "source": _plain("intruder"),
    "tax_code": _plain("software"),
    "time": lambda _: datetime.now(UTC).isoformat(),
    "timezone": _plain("Asia/Tokyo"),
    "topic": _plain("keys"),
    "channel": _plain("mail"),
    "wanted": _plain(False),
    "token": _plain("a-token-of-nobody"),
    "tokens_per_minute": _plain(1),
    "trial_days": _plain(0),
    "type": _plain("page"),
    "unit": _plain("page"),
    "unit_amount": _plain("0.01"),
    "upstream_model": _plain("theirs"),
    "valid_from": _plain(LEAVE_OUT),
    "value_property": _plain(LEAVE_OUT),
    "version": _plain(1),
    "accent": _plain("#aa0000"),
    "account": _plain("DE00"),
    "account_name": _plain("Intruder"),
    "bank_code": _plain("X"),
    "fields": _plain([]),
    "font": _plain("sans"),
    "paper": _plain("a4"),
    "phone": _plain("1"),
    "registration_number": _plain("1"),
    "wording": _plain({}),
    "address": _plain("Street 1"),
    "amount": _plain("0.01"),
    "brand": _plain("MX"),
    "country": _plain("DE"),
    "edition": _plain("2026"),
    "exemption": _plain(None),
    "grace_hours": _plain(0),
    "inclusive": _plain(False),
    "invoice_pattern": _plain("{entity}-{seq}"),
    "invoice_reset": _plain("never"),
    "is_test": _plain(False),
    "is_usual": _plain(False),
    "jurisdiction": _plain("DE"),
    "language": _plain("en"),
    "lines": _plain([{"description": "Taken over.", "quantity": "1", "unit_amount": "1"}]),
    "by_line": _plain(None),
    "memo": _plain("Taken over."),
    "note_pattern": _plain("{entity}-CN-{seq}"),
    "note_reset": _plain("never"),
    "payment_days": _plain(0),
    "period_end": _plain(LEAVE_OUT),
    "period_start": _plain(LEAVE_OUT),
    "reason": _plain("other"),
    "registrations": _plain([]),
    "reverse_charge_in": _plain([]),
    "tax_ids": _plain([]),
    "tax_number": _plain(None),
    "tax_rounding": _plain("line"),
    "valid_until": _plain("2999-01-01"),
    "zero_documents": _plain("issue"),
    "action": _plain("notify"),
    "limit": _plain("5"),
    "measure": _plain("tokens"),
    "period": _plain("month"),
    "thresholds": _plain([50]),
    "billing_mode": _plain("prepaid"),
    "ceiling": _plain("3.00"),
    "given_as": _plain("grant"),
    "grant_key": _plain("an-intruders-gift"),
    "note": _plain("Taken over."),
    "payment_key": _plain("an-intruders-payment"),
    "priority": _plain(1),
    "received_on": _plain("cash"),
    "refill": _plain("2.00"),
    "threshold": _plain("1.00"),
}

# Arguments of page handlers, beside ids.
ARGUMENTS: dict[str, Maker] = {
    "act": _plain("revoke"),
    "address": _plain("/api/v1/keys?format=csv"),
    "charge_id": _of("pchg"),
    "answer": lambda victim: {"id": victim.organization.id, "email": victim.owner.email, "mailbox": ""},
    "interval": _plain("1-month"),
    "is_open": _plain(True),
    "kind": _plain("metered"),
    "language": _plain("de"),
    "listing": _plain("keys"),
    "key": _plain("search"),
    "model": _plain("per_unit"),
    "name": _plain("edit"),
    "quantity": _plain("2"),
    "slot": _plain("seats"),
    "topic": _plain("keys"),
    "channel": _plain("mail"),
    "wanted": _plain(False),
    "value": _plain("name-canary"),
    "values": lambda victim: {"address": victim.owner.email},
    "zone": _plain("Asia/Tokyo"),
}

# What pages read from their address, beside ids.
ADDRESS: dict[str, Maker] = {
    "actor": _of("acc"),
    "after": _plain(LEAVE_OUT),
    "at[gte]": _plain("2026-01-01T00:00:00Z"),
    "created_at[gte]": _plain("2025-01-01T00:00:00Z"),
    "created_at[lt]": _plain(LEAVE_OUT),
    "number": _plain(LEAVE_OUT),
    "period": _plain(LEAVE_OUT),
    "source": _plain(LEAVE_OUT),
    "state": _plain(LEAVE_OUT),
    "cause_id": _plain(LEAVE_OUT),
    "currency": _plain("USD"),
    "happened_at[gte]": _plain("2025-01-01T00:00:00Z"),
    "happened_at[lt]": _plain(LEAVE_OUT),
    "purpose": _plain("cash"),
    "at[lt]": _plain(LEAVE_OUT),
    "email[contains]": _plain(LEAVE_OUT),
    "enabled": _plain("true"),
    "granularity": _plain("hour"),
    "group": _plain("key"),
    "key": _of("apikey"),
    "kind": _plain("client"),  # in lists of other kinds none
    "measure": _plain("cost"),
    "model": lambda victim: victim.offered,
    "name[contains]": _plain("name-canary"),
    "object_id": _of("apikey"),
    "outcome": _plain("ok"),
    "project": _of("proj"),
    "recorded_at[gte]": _plain("2026-01-01T00:00:00Z"),
    "recorded_at[lt]": _plain(LEAVE_OUT),
    "role": _plain(LEAVE_OUT),
    "search": _plain("name-canary"),
    "range": _plain("24h"),
    "started_at[gte]": _plain("2026-01-01T00:00:00Z"),
    "started_at[lt]": _plain(LEAVE_OUT),
    "state[in]": _plain("current,ended,planned"),
    "status[in]": _plain("active,expired,expiring,revoked"),
    "status": _plain("active"),
    "two_step": _plain(LEAVE_OUT),
    "type": _plain(LEAVE_OUT),
}


def made_for(name: str, victim: Victim, room: dict[str, Maker], where: str) -> Any:
    """What to try for `name`. Raises LookupError for one that nobody has thought of yet."""
    for makers in (THEIRS, OF_THE_HOUSE, room):
        if name in makers:
            return makers[name](victim)
    raise LookupError(f"{where} takes {name!r}: say in {__file__} what the walk is to try for it.")
