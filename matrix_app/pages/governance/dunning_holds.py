"""Customers who are left alone: the list, the section of an organisation's page, and the dialog that begins it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.figures import facts
from components.feedback.states import empty_state
from components.format.values import when
from components.forms.fields import checkbox, number_field, text_area
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot, icon_button
from components.links import link
from components.shell.page import card, page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.dunning import hold_queries
from services.dunning.holds import HOLD_MAX, REASON_CHARACTERS_MAX
from state.governance.dunning_holds import CustomerHoldState, HoldsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
HOME = "/governance/dunning/holds"
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
STATES = {
    "open": Status("holds.state.open", "warn", "hourglass"),
    "ended": Status("holds.state.ended", "neutral", "check"),
}
LIFTS = {
    "lifts": Status("holds.lifts.lifts", "ok"),
    "keeps": Status("holds.lifts.keeps", "neutral", "ban"),
}
HOLDS = table_of(
    hold_queries.HOLDS,
    "holds",
    Column("organization", "holds.organization", kind="link", href="href", row_header=True),
    Column("state", "holds.state", kind="badge", statuses=STATES, brief=True),
    Column("reason", "holds.reason", brief=True),
    Column("until", "holds.until", kind="datetime", brief=True),
    Column("lifts", "holds.lifts", kind="badge", statuses=LIFTS),
    Column("placed_by", "holds.placed_by"),
    Column("created_at", "holds.created_at", kind="datetime"),
    Column("ended_at", "holds.ended_at", kind="datetime"),
    texts="holds",
)


def hold_form(form_id: str, organization_id: Any, *, on_done: Any) -> rx.Component:
    """What is said when a customer is held."""
    return rest_form(
        form_id,
        text_area("reason", t("holds.reason"), max_length=REASON_CHARACTERS_MAX),
        number_field(
            "days", t("holds.days"), hint=t("holds.days_hint"), value=None, required=False, min=1, max=HOLD_MAX.days,
            step=1,
        ),
        checkbox("lifts", t("holds.lifts_now"), value=False),
        dialog_foot(dialog_close(), submit_button(t("holds.place"))),
        url=f"{endpoints.STAFF_ORGANIZATIONS}/{organization_id}/dunning-holds",
        done_text=t("holds.placed"),
        on_done=on_done,
    )  # fmt: skip


def hold_section(organization_id: Any) -> rx.Component:
    """Whether the organisation on screen is held, and the button that holds or releases it; for who sees payments."""
    state, row = CustomerHoldState, CustomerHoldState.hold
    place = dialog(
        hold_form("hold-customer", organization_id, on_done=state.placed),
        title=t("holds.place"),
        description=t("holds.place_text"),
        trigger=Trigger(t("holds.place"), "", "hourglass"),
        open=state.is_open,
        on_open_change=state.turn,
    )
    release = action_button(t("holds.release"), on_press=state.release, icon="refresh-cw")
    until = rx.cond(row["until"], when(row["until"], zone=SessionState.zone), t("holds.until_released"))
    held = card(
        facts(
            (t("holds.reason"), rx.el.span(row["reason"].to(str), class_name="party")),
            (t("holds.until"), until),
            (t("holds.lifts"), rx.fragment(status_badge(row["lifts"], LIFTS))),
            (t("holds.placed_by"), row["placed_by"].to(str)),
            (t("holds.created_at"), when(row["created_at"], zone=SessionState.zone)),
        )
    )
    none = rx.el.p(t("holds.not_held"), class_name="muted")
    acts = rx.cond(MAY_WRITE, rx.cond(row.length() > 0, release, place), rx.fragment())
    shown = section(t("dunning.title"), rx.cond(row.length() > 0, held, none), actions=[acts])
    return rx.cond(state.status == "ready", shown, rx.fragment())


def _acts(row: Row) -> rx.Component:
    release = icon_button(
        t("holds.release_of", name=row["organization"].to(str)),
        "refresh-cw",
        on_press=HoldsState.release(row["id"].to(str)),
    )
    return rx.cond(MAY_WRITE & (row["state"] == "open"), release, rx.fragment())


@page(
    HOME,
    console=Console.GOVERNANCE,
    title="holds.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=HoldsState.load,
)
def dunning_holds() -> Drawn:
    """Customers who are or were held, the newest first."""
    states = [(name, t(look.text)) for name, look in STATES.items()]
    content = lists.listing(
        HoldsState,
        HOLDS,
        [
            Filter("organization_id", "dunning.organization_id", "search"),
            Filter("state", "holds.state", options=states),
        ],
        empty=empty_state(t("holds.none"), t("holds.none_text"), icon_name="hourglass"),
        names={"organization_id": t("dunning.organization")},
        values={f"state:{name}": words for name, words in states},
        actions=_acts,
    )
    return [
        rx.el.p(link(t("campaigns.back"), href="/governance/dunning"), class_name="back-link"),
        page_header(t("holds.title"), lists.export(HoldsState), text=t("holds.text")),
        in_its_state(HoldsState, content, retry=HoldsState.load),
    ]
