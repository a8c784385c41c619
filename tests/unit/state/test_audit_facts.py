"""What an event says in the audit log is said in words: each fact has a name, and sums and times are as such."""

from __future__ import annotations

from typing import Any

import pytest

from components.texts import texts_under
from matrix_app import pages
from matrix_app.pages.registry import PAGES, Console
from services.core.actor import Actor
from services.core.ids import new_id
from services.core.permissions import Capability
from state.audit_view import PORTAL_PLACES, STAFF_PLACES, UNSAID, WORDS, Reader, facts_of
from tests.unit.test_audit_texts import events

pages.load_all()

ANA, STRANGER, INVOICE, LOT, PLAN = (new_id(prefix) for prefix in ("acc", "acc", "inv", "lot", "plan"))


def reader(*capabilities: Capability) -> Reader:
    actor = Actor(id=ANA, organization_id="org_1", capabilities=frozenset(capabilities))
    return Reader(
        "/portal/audit", actor, PORTAL_PLACES, {ANA: "Ana", INVOICE: "MX1-2026-000001", PLAN: "Team"}
    )


@pytest.mark.parametrize(
    ("event_type", "details", "said"),
    [
        (
            "invoice.finalized",
            {"currency": "EUR", "number": "MX1-2026-000001", "total_minor": 10829, "due_minor": 0, "sha256": "0f"},
            ["number=text:MX1-2026-000001", "total_minor=money:108.29 EUR", "due_minor=money:0 EUR"],
        ),
        ("wallet.granted", {"currency": "JPY", "minor": 1500, "source": "promotion"},
         ["minor=money:1500 JPY", "source=word:wallets.source:promotion"]),
        ("invoice.drafted", {"currency": "EUR"}, ["currency=text:EUR"]),
        ("budget.threshold_reached",
         {"currency": "EUR", "spent": "1200", "limit": "1000", "measure": "tokens", "percent": 120, "stops": True,
          "throttles": False},
         ["currency=text:EUR", "spent=number:1200", "limit=number:1000", "measure=word:audit.value:tokens",
          "percent=percent:1.2", "stops=yes:"]),
        ("budget.threshold_reached", {"currency": "EUR", "spent": "12.50", "measure": "cost"},
         ["spent=money:12.5 EUR", "measure=word:audit.value:cost"]),
        ("test_clock.turned", {"to": "2026-01-02T01:48:50.495181Z"},
         ["to=datetime:2026-01-02T01:48:50.495181Z"]),
        ("tax_rate.ended", {"valid_until": "2026-01-02", "name": "2026-13-45", "rate": "0.19"},
         ["valid_until=date:2026-01-02", "name=text:2026-13-45", "rate=percent:0.19"]),
        ("membership.changed", {"account_id": ANA, "role": "owner"},
         ["account_id=link:Ana", "role=word:role:owner"]),
        ("membership.ended", {"account_id": STRANGER}, ["account_id=word:audit.actor:other"]),
        ("wallet.paid", {"invoice_id": INVOICE, "lot_id": LOT},
         ["invoice_id=link:MX1-2026-000001", f"lot_id=link:\u2026{LOT[-6:]}"]),
        ("plan.created", {"addon_to": [PLAN, PLAN], "name": "x" * 400},
         ["addon_to=link:Team", "=link:Team", f"name=text:{'x' * 299}\u2026"]),
        ("api_key.updated", {"changed": ["x"] * 24}, ["changed=word:audit.value:x"] + ["=word:audit.value:x"] * 23),
        ("api_key.updated", {"changed": ["x"] * 27},
         ["changed=word:audit.value:x"] + ["=word:audit.value:x"] * 23 + ["=more:3"]),
        ("api_key.updated", {"changed": ["name", "never_seen"]},
         ["changed=word:audit.value:name", "=word:audit.value:never_seen"]),
        ("subscription.canceled", {"reason": "too_expensive"}, ["reason=word:subscription.reason_of:too_expensive"]),
        ("subscription.ended", {"reason": "Nobody paid."}, ["reason=text:Nobody paid."]),
        ("ledger.journal_posted", {"key": "invoice:inv_1", "kind": "top_up", "reverses": None},
         ["kind=word:ledger.kind:top_up"]),
        ("payment.waits", {"state": {"of": "an older shape"}}, ["state=word:payments.state:{'of': 'an older shape'}"]),
    ],
)  # fmt: skip
def test_what_an_event_says_in_words(event_type: str, details: dict[str, Any], said: list[str]) -> None:
    facts = facts_of(event_type, details, reader())
    written = [
        f"{one['name']}={one['kind']}:{one['words'] + ':' if one['words'] else ''}{one['value']}"
        + (f" {one['currency']}" if one["kind"] == "money" else "")
        for one in facts
    ]
    assert written == said


def test_a_name_leads_to_the_page_of_it_for_who_may_read_that() -> None:
    may, may_not = reader(Capability.INVOICES_READ), reader()
    assert may.href(INVOICE) == f"/portal/invoices/{INVOICE}"
    assert may_not.href(INVOICE) == f"/portal/audit?object_id={INVOICE}"
    assert may.href(LOT) == f"/portal/audit?object_id={LOT}"


def test_every_place_is_a_page_that_needs_what_the_place_says() -> None:
    for console, places in ((Console.PORTAL, PORTAL_PLACES), (Console.GOVERNANCE, STAFF_PLACES)):
        for prefix, place in places.items():
            page = next(one for one in PAGES.values() if one.lies_at(place.of(new_id(prefix))))
            assert (page.console, page.needs) == (console, place.needs), prefix


def test_every_fact_of_every_event_has_a_name() -> None:
    named = {name for event in events() for name in event.model_fields}
    assert set(texts_under("audit.fact")) == named - UNSAID - {"aggregate_id", "organization_id"}
    for key in WORDS:
        assert key.rpartition(".")[2] in named, key
