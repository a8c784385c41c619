"""A list has one declaration: what its table shows, its page filters by and its file holds is what that says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from components.tables.filters import Filter
from components.tables.table import Column, Table
from matrix_app import pages
from matrix_app.api.list_table import lists
from matrix_app.pages import lists as drawn
from matrix_app.pages.registry import PAGES
from services.core.listing import Kind
from state.listed import ListedState

pytestmark = pytest.mark.xdist_group("declarations")  # every page is drawn once for all tests here

# How cells of a kind may be written. Texts any way: days and codes are texts, too.
WRITTEN: dict[Kind, set[str]] = {
    Kind.ID: {"code", "text", "link"},
    Kind.INSTANT: {"datetime", "date", "ago"},
    Kind.INTEGER: {"number", "integer", "tokens", "duration", "bytes", "percent", "money", "text", "code"},
    Kind.DECIMAL: {"number", "money", "price", "per_million", "percent", "text"},
    Kind.FLAG: {"badge"},
    Kind.ENUM: {"badge"},
    Kind.LIST: {"text"},
    Kind.OBJECT: {"text", "number"},
}
# Columns of a page that the list has in parts, or by another name: of which columns they are made.
MADE_OF: dict[str, dict[str, str]] = {
    "audit": {"detail": "details"},
    "budgets": {"about": "key_name model"},
    "credits": {"number": "source_number"},
    "invoices": {"name": "number"},
    "keys": {"limits": "requests_per_minute tokens_per_minute"},
    "payment_methods": {"label": "name brand last4", "method": "kind brand last4", "use": "is_default"},
    "payments": {"name": "invoice_number id", "amount": "minor currency"},
    "sign_ins": {"device": "user_agent"},
    "staff.audit": {"detail": "details"},
    "staff.bank_lines": {"name": "bank_ref", "amount": "minor currency"},
    "staff.billing_runs": {"state": "started_at seen_at ended_at"},
    "staff.contests": {"name": "invoice_number invoice_id", "amount": "minor currency"},
    "staff.coupons": {"share": "rate amount_minor"},
    "staff.credits": {"number": "source_number"},
    "staff.crypto_rates": {"name": "asset currency"},
    "staff.disputes": {"name": "invoice_number payment_id", "amount": "minor currency"},
    "staff.dunning": {"number": "invoice_number"},
    "staff.dunning_campaigns": {"segment": "currency country plan_id", "in_short": "steps"},
    "staff.invoice_series": {"bills": "is_test", "counter": "brand period", "proof": "missing has_no_gap"},
    "staff.invoices": {"name": "number"},
    "staff.brands": {"use": "is_default status"},
    "staff.legal_entities": {"use": "is_test is_usual"},
    "staff.payment_cases": {"amount": "minor currency"},
    "staff.payments": {"name": "invoice_number id", "amount": "minor currency"},
    "staff.payouts": {"name": "provider_ref", "amount": "minor currency"},
    "staff.plan_migration_moves": {"before": "old_minor", "after": "new_minor"},
    "staff.plans": {"state": "published draft"},
    "staff.prices": {"per_million": "unit_amount per_units"},
    "staff.organizations": {"time": "on_clock"},
    "staff.provider_accounts": {"control": "settings", "money": "is_test", "status": "enabled"},
    "staff.provider_movements": {"name": "provider_ref"},
    "staff.refunds": {
        "name": "invoice_number payment_id",
        "amount": "minor currency",
        "why": "refusal failure reason",
    },
    "staff.subscriptions": {"name": "plan_name"},
    "staff.tax_rates": {"state": "valid_from valid_until"},
    "staff.templates": {"name": "legal_entity brand number"},
    "staff.upstreams": {"key": "kind has_api_key", "status": "enabled"},
    "subscriptions": {"name": "plan_name"},
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A list's state with the table and the filters that a page draws of it."""

    state: type[ListedState]
    table: Table
    filters: Sequence[Filter]

    def __str__(self) -> str:
        return self.state._listing.name

    def unsourced(self) -> set[str]:
        """Columns shown that are made of nothing which the list declares."""
        declared = {column.name for column in self.state._listing.columns}
        made_of = MADE_OF.get(str(self), {})
        return {
            column.key
            for column in self.table.columns
            if column.key not in declared
            and not any(name.startswith(f"{column.key}_") for name in declared)
            and not set(made_of.get(column.key, "?").split()) <= declared
        }

    def miswritten(self) -> set[str]:
        """Columns shown as what they are not."""
        declared = {column.name: column for column in self.state._listing.columns}
        return {
            f"{column.key} is {declared[column.key].kind} and written as {column.kind}"
            for column in self.table.columns
            if column.key in declared and column.draw is None and not _fits(column, declared[column.key].kind)
        }

    def missorted(self) -> set[str]:
        """Columns whose header sorts while the list does not, or the other way round."""
        sorts = self.state._listing.sorts
        return {one.key for one in self.table.columns if one.sortable != ((one.sort or one.key) in sorts)}


def _fits(column: Column, kind: Kind) -> bool:
    return column.kind in WRITTEN.get(kind, {column.kind})


def _pairs() -> list[Pair]:
    found: dict[tuple[str, str], Pair] = {}
    listing = drawn.listing

    def seen(state: type[ListedState], table: Table, filters: Sequence[Filter] = (), **rest: Any) -> Any:
        found[state.__name__, table.id] = Pair(state, table, filters)
        return listing(state, table, filters, **rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drawn, "listing", seen)
        for page in PAGES.values():
            page.component()
    return list(found.values())


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    pages.load_all()
    return _pairs()


def test_every_listed_page_is_looked_at(pairs: list[Pair]) -> None:
    looked_at = {pair.state for pair in pairs}
    assert len(looked_at) > 50


def test_a_table_shows_what_its_list_declares(pairs: list[Pair]) -> None:
    wrong = [(str(pair), pair.unsourced(), pair.miswritten(), pair.missorted()) for pair in pairs]
    assert [one for one in wrong if any(one[1:])] == []


def test_a_page_filters_by_what_the_api_filters_by(pairs: list[Pair]) -> None:
    for pair in pairs:
        offered = {one.key for one in pair.filters}
        assert offered <= set(pair.state._filter_keys) <= set(pair.state._listing.filters), str(pair)


def test_what_is_downloaded_is_the_same_list(pairs: list[Pair]) -> None:
    api = lists()
    for pair in pairs:
        if not (url := pair.state._file_url):
            continue
        listing, asked_by = pair.state._listing, api[url.removeprefix("/api/v1")]["parameters"]
        filters = {one["name"] for one in asked_by if "x-filter" in one}
        sorts = next(one["schema"]["enum"] for one in asked_by if one["name"] == "sort")
        assert (filters, sorts) == (set(listing.filters), list(listing.sorts)), str(pair)


def test_nothing_is_said_of_a_column_that_is_there_or_is_not_shown(pairs: list[Pair]) -> None:
    shown = {(str(pair), key) for pair in pairs for key in (column.key for column in pair.table.columns)}
    declared = {(str(pair), one.name) for pair in pairs for one in pair.state._listing.columns}
    said = {(listing, key) for listing, made in MADE_OF.items() for key in made}
    assert said <= shown - declared
