"""The audit log as a listing: of one organisation in the portal, of all in the governance console."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.format.values import value
from components.links import link
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table
from components.texts import plural, t, texts_under
from matrix_app.pages import lists
from services.audit.queries import AUDIT, STAFF_AUDIT
from services.core.listing import Listing
from state.audit_view import WORDS
from state.governance.audit import StaffAuditState
from state.portal.audit import AuditState
from state.session import SessionState

_ACTORS = ("system", "other")  # who has no name that the reader may see


def _filters() -> list[Filter]:
    types = sorted(texts_under("audit.event").items(), key=lambda pair: pair[1])
    return [
        Filter("type", "audit.filter.type", options=types),
        Filter("actor", "audit.filter.actor", "search"),
        Filter("object_id", "audit.filter.object", "search"),
        Filter("address", "audit.filter.address", "search"),
    ]


def _what(row: Any) -> rx.Component:
    """The event as a sentence; a type that has none is shown as it is."""
    return rx.match(row["type"], *texts_under("audit.event").items(), row["type"].to(str))


def who(row: Any) -> rx.Component:
    """By name, where there is one that the reader may see; leads to all that they did."""
    nameless = [(kind, t(f"audit.actor.{kind}")) for kind in _ACTORS]
    name = rx.match(row["actor_kind"], *nameless, row["actor"].to(str))
    return rx.el.span(link(name, href=row["actor_href"].to(str)), class_name="who")


def _words() -> dict[str, str]:
    """The words of all codes, each behind the family that it is of."""
    families = sorted({*WORDS.values(), "audit.actor"})
    return {f"{one}:{code}": words for one in families for code, words in texts_under(one).items()}


def _fact(fact: Any) -> rx.Component:
    name = rx.match(fact["name"], *texts_under("audit.fact").items(), fact["name"])
    code = rx.match(fact["words"] + ":" + fact["value"], *_words().items(), fact["plain"])
    written = value(fact["value"], fact["kind"], currency=fact["currency"], zone=SessionState.zone)
    shown = rx.match(
        fact["kind"],
        ("yes", rx.fragment(t("audit.yes"))),
        ("word", rx.fragment(code)),
        ("link", link(fact["value"], href=fact["href"], title=fact["plain"])),
        ("more", rx.el.span(plural("audit.more", fact["value"].to(int)), class_name="muted")),
        written,
    )
    label = rx.cond(fact["name"] != "", rx.el.span(name, ": ", class_name="muted"), rx.fragment())
    apart = (fact["name"] != "") | (fact["kind"] == "more")
    return rx.el.li(label, shown, class_name=rx.cond(apart, "fact", "fact fact-more"))


def _detail(row: Any) -> rx.Component:
    """What the event says beside its type: in words, with names, sums and times as people write them."""
    return rx.el.ul(rx.foreach(row["detail"].to(list[dict[str, str]]), _fact), class_name="event-facts")


def _object(row: Any) -> rx.Component:
    """By its name, where it has one; leads to all that happened to it."""
    name = rx.cond(row["object_name"] != "", row["object_name"].to(str), rx.el.code(row["object"].to(str)))
    return link(name, href=row["object_href"].to(str), title=row["object"].to(str))


def _table(log: Listing[Any], *more: Column) -> Table:
    return table_of(
        log,
        "audit",
        # Events are told apart, and follow each other, by their ids.
        Column("recorded_at", "audit.time", kind="datetime", row_header=True, sort="id"),
        Column("type", "audit.what", draw=_what),
        Column("actor", "audit.who", draw=who),
        *more,
        Column("object", "audit.object", draw=_object),
        Column("detail", "audit.detail", draw=_detail),
        Column("address", "audit.address", kind="code"),
        texts="audit",
    )


ORGANIZATION_LOG = _table(AUDIT)
STAFF_LOG = _table(STAFF_AUDIT, Column("organization", "audit.organization"))


def listing(state: type[AuditState] | type[StaffAuditState], *, staff: bool = False) -> rx.Component:
    """Filters, the entries of one page, and the way to the next."""
    chosen = [Filter("organization_id", "audit.filter.organization", "search")] if staff else []
    types = texts_under("audit.event").items()
    return lists.listing(
        state,
        STAFF_LOG if staff else ORGANIZATION_LOG,
        [*_filters(), *chosen, *days("recorded_at")],
        empty=empty_state(t("audit.none"), t("audit.none_text"), icon_name="activity"),
        names={"object_id": t("audit.object"), "organization_id": t("audit.organization")},
        values={f"type:{name}": words for name, words in types},
    )
