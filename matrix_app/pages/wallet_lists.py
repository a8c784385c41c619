"""What came into wallets and what went out of them, lot by lot, in both consoles."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, badge
from components.feedback.states import empty_state
from components.kit.tabs import LinkTab, link_tabs
from components.links import link
from components.live.figures import live_refresh
from components.props import Drawn as Part
from components.shell.page import page_header
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table
from components.texts import t, texts_under
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Drawn
from models.wallets import TopUpState
from services.core.listing import Listing
from services.wallets import queries

Row = rx.Var[dict[str, Any]]
State = Any  # which of the two consoles' states, a subclass of ListedState
PORTAL, GOVERNANCE = "/portal/wallet", "/governance/wallets"
FOLLOWED_MS = 5_000  # between two readings while calls are settled without end
_BOOK = Column("organization_name", "wallets.organization_name")
TOP_UPS_STATES = {
    TopUpState.DUE.value: Status("wallets.top_up.due", "warn", "hourglass"),
    TopUpState.PAID.value: Status("wallets.top_up.paid", "ok"),
    TopUpState.WITHDRAWN.value: Status("wallets.top_up.withdrawn", "neutral", "ban"),
}


def words(which: str) -> Any:
    """Draws the word for what a row has in `which`."""
    return lambda row: rx.fragment(
        rx.match(row[which], *texts_under(f"wallets.{which}").items(), row[which].to(str))
    )


def _cause(row: Row) -> Part:
    """What was paid for: an invoice, calls, or what a plan took back."""
    number = row["cause"].to(str)
    calls = rx.cond(
        row["calls"].to(int) > 0, t("wallets.calls", count=row["calls"].to(int)), t("wallets.kind.usage")
    )
    linked = rx.match(
        row["kind"],
        ("invoice", link(t("wallets.of_invoice", number=number), href=row["cause_href"].to(str))),
        link(calls, href=row["cause_href"].to(str)),
    )
    plain = rx.match(row["kind"], ("usage", calls), ("taken_back", t("wallets.kind.taken_back")), number)
    back = rx.cond(row["given_back_at"], badge(t("wallets.given_back"), "info"), rx.fragment())
    return rx.el.span(rx.cond(row["cause_href"], linked, plain), " ", back)


def _lot_uses(row: Row) -> Part:
    return rx.cond(row["href"], link(t("wallets.see_uses"), href=row["href"].to(str)), rx.fragment())


def _of_lots(row: Row) -> Part:
    return link(t("wallets.see_lots"), href=row["href"].to(str))


def lots_table(listing: Listing[Any], *more: Column) -> Table:
    """What came in; each lot leads to what it paid for."""
    return table_of(
        listing,
        "lots",
        Column("created_at", "wallets.created_at", kind="datetime", row_header=True),
        *more,
        Column("source", "wallets.source", draw=words("source")),
        "minor",
        "used_minor",
        "expired_minor",
        "left_minor",
        "expires_at",
        "priority",
        "note",
        Column("id", "wallets.uses", draw=_lot_uses),
        texts="wallets",
        caption="wallets.lots",
    )


def _debits(listing: Listing[Any], *more: Column) -> Table:
    return table_of(
        listing,
        "debits",
        Column("created_at", "wallets.created_at", kind="datetime", row_header=True),
        *more,
        Column("cause", "wallets.cause", draw=_cause),
        "minor",
        Column("id", "wallets.from_lots", draw=_of_lots),
        texts="wallets",
        caption="wallets.debits",
    )


def _uses(listing: Listing[Any], *more: Column) -> Table:
    return table_of(
        listing,
        "uses",
        Column("created_at", "wallets.created_at", kind="datetime", row_header=True),
        *more,
        Column("source", "wallets.lot", draw=words("source")),
        "lot_id",
        Column("cause", "wallets.cause", draw=_cause),
        "minor",
        texts="wallets",
        caption="wallets.uses_of_lots",
    )


def _top_ups(listing: Listing[Any], *more: Column) -> Table:
    return table_of(
        listing,
        "top-ups",
        Column("created_at", "wallets.created_at", kind="datetime", row_header=True),
        *more,
        "minor",
        Column("state", "wallets.state", kind="badge", statuses=TOP_UPS_STATES),
        texts="wallets",
        caption="wallets.top_ups",
    )


LOTS = {PORTAL: lots_table(queries.LOTS), GOVERNANCE: lots_table(queries.STAFF_LOTS, _BOOK)}
DEBITS = {PORTAL: _debits(queries.DEBITS), GOVERNANCE: _debits(queries.STAFF_DEBITS, _BOOK)}
USES = {PORTAL: _uses(queries.USES), GOVERNANCE: _uses(queries.STAFF_USES, _BOOK)}
TOP_UPS = {PORTAL: _top_ups(queries.TOP_UPS), GOVERNANCE: _top_ups(queries.STAFF_TOP_UPS, _BOOK)}


def tabs(home: str, current: str = "") -> rx.Component:
    """Between the pages of wallets of a console; `current` is the last part of the address."""
    lots = [LinkTab(t("wallets.lots"), f"{home}/lots")] if home == GOVERNANCE else []
    return link_tabs(
        LinkTab(t("wallets.all" if home == GOVERNANCE else "wallets.balance"), home),
        *lots,
        LinkTab(t("wallets.debits"), f"{home}/debits"),
        LinkTab(t("wallets.uses_of_lots"), f"{home}/uses"),
        LinkTab(t("wallets.top_ups"), f"{home}/top-ups"),
        label=t("wallets.tabs"),
        current=f"{home}/{current}".rstrip("/"),
    )


def follows(state: State, home: str) -> rx.Component:
    """Reads again what changed."""
    topic = "staff.wallets" if home == GOVERNANCE else "wallets"
    return live_refresh(
        topic, path="changed", since=state.read_at, on_change=state.load, longest_wait_ms=FOLLOWED_MS
    )


def lot_filters() -> list[Filter]:
    return [
        *(
            Filter(which, f"wallets.{which}", options=list(texts_under(f"wallets.{which}").items()))
            for which in ("source", "state")
        ),
        Filter("currency", "wallets.currency", "search"),
    ]


def values_of(*names: str) -> dict[str, str]:
    """The words of what filters say, for their chips."""
    return {
        f"{name}:{value}": said for name in names for value, said in texts_under(f"wallets.{name}").items()
    }


def page_of(
    state: State,
    home: str,
    what: str,
    table: Table,
    filters: list[Filter],
    values: dict[str, str],
    *,
    actions: Any = None,
    acts: Part | None = None,
) -> Drawn:
    """One of the lists; `what` is the last part of its address and names its texts."""
    name = what.replace("-", "_")
    who = [Filter("organization_id", "wallets.organization_id", "search")] if home == GOVERNANCE else []
    content = lists.listing(
        state,
        table,
        [*who, *filters],
        empty=empty_state(t(f"wallets.no_{name}"), t(f"wallets.no_{name}_text"), icon_name="inbox"),
        names={
            key: t(f"wallets.{key}")
            for key in ("organization_id", "state", "currency", "kind", "lot_id", "debit_id", "source")
        },
        values=values,
        actions=actions,
    )
    return [
        page_header(
            t(f"wallets.{name}_title"),
            lists.export(state),
            *([acts] if acts is not None else []),
            text=t(f"wallets.{name}_text"),
        ),
        tabs(home, what),
        in_its_state(state, content, retry=state.load),
        follows(state, home),
    ]


def debits(state: State, home: str) -> Drawn:
    """What was taken, the newest first."""
    kinds = Filter("kind", "wallets.kind", options=list(texts_under("wallets.kind").items()))
    return page_of(state, home, "debits", DEBITS[home], [kinds, *days("created_at")], values_of("kind"))


def uses(state: State, home: str) -> Drawn:
    """What was taken of which lot, the newest first."""
    filters = [
        Filter("lot_id", "wallets.lot_id", "search"),
        Filter("kind", "wallets.kind", options=list(texts_under("wallets.kind").items())),
        *days("created_at"),
    ]
    return page_of(state, home, "uses", USES[home], filters, values_of("kind"))


def top_ups(state: State, home: str, *, actions: Any = None) -> Drawn:
    """What rules asked for, the newest first."""
    states = [(name, t(look.text)) for name, look in TOP_UPS_STATES.items()]
    return page_of(
        state,
        home,
        "top-ups",
        TOP_UPS[home],
        [Filter("state", "wallets.state", options=states)],
        {f"state:{name}": said for name, said in states},
        actions=actions,
    )
