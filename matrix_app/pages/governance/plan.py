"""One plan: its versions, what the chosen one says, and the editor of its draft."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.states import banner, empty_state, skeleton
from components.forms.form import action_button
from components.kit.overlays import MenuEntry, confirm_dialog, icon_button, menu
from components.links import button_link, link
from components.shell.page import page_header, section
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import plan_prices
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.governance import plan_forms
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.governance.plans import PlanState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]

STATES = {
    "draft": Status("plan.state.draft", "info", "pencil"),
    "published": Status("plan.state.published", "ok"),
    "retired": Status("plan.state.retired", "neutral", "ban"),
}
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PLANS_WRITE.value)
IS_DRAFT = PlanState.version["state"] == "draft"
EDITABLE = MAY_WRITE & IS_DRAFT
NUMBER = PlanState.version["number"].to(str)

VERSIONS = Table(
    "versions",
    "plan.versions",
    columns=(
        Column("number", "plan.number", kind="link", href="href", row_header=True),
        Column("state", "plans.state", kind="badge", statuses=STATES),
        Column("charges", "plan.prices_count", kind="number"),
        Column("published_at", "plan.published_at", kind="datetime"),
        Column("retired_at", "plan.retired_at", kind="datetime"),
    ),
)
PRICES = Table(
    "prices",
    "plan.prices",
    columns=(
        Column("name", "plan.charge", row_header=True),
        Column("key", "plan.key", kind="code"),
        Column("kind", "plan.kind", draw=plan_prices.kind),
        Column("currency", "plan.currency"),
        Column(
            "interval",
            "plan.interval",
            draw=lambda row: rx.fragment(plan_prices.every(row["interval"], row["interval_count"])),
        ),
        Column("lines", "plan.price", draw=plan_prices.lines),
    ),
)
ENTITLEMENTS = Table(
    "entitlements",
    "plan.entitlements",
    columns=(
        Column("name", "plan.feature", row_header=True),
        Column("key", "plan.key", kind="code"),
        Column("value", "plan.value", draw=plan_prices.entitlement),
    ),
    row_key="key",
)


def _price_acts(row: Row) -> rx.Component:
    acts = (
        MenuEntry("edit", t("plan.edit"), icon="pencil"),
        MenuEntry("copy", t("plan.copy"), icon="copy"),
        MenuEntry("remove", t("plan.remove"), icon="trash-2"),
    )
    named = t("plan.acts", name=row["name"].to(str))
    asked = menu(named, acts, on_action=lambda act: PlanState.ask_charge(row["id"].to(str), act))
    return rx.cond(EDITABLE, asked, rx.fragment())


def _prices() -> rx.Component:
    none = empty_state(t("plan.no_prices"), t("plan.no_prices_text"), icon_name="tags", level=3)
    table = data_table(PRICES, PlanState.charges, empty=none, actions=_price_acts)
    add = rx.cond(
        EDITABLE,
        action_button(t("plan.add_price"), on_press=PlanState.add_charge, icon="plus"),
        rx.fragment(),
    )
    return section(t("plan.prices"), table, actions=[add])


def _entitlements() -> rx.Component:
    def acts(row: Row) -> rx.Component:
        named = t("plan.remove_named", name=row["name"].to(str))
        remove = icon_button(named, "trash-2", on_press=PlanState.ask_entitlement(row["key"].to(str)))
        return rx.cond(EDITABLE, remove, rx.fragment())

    none = empty_state(t("plan.no_entitlements"), t("plan.no_entitlements_text"), icon_name="check", level=3)
    table = data_table(ENTITLEMENTS, PlanState.entitlements, empty=none, actions=acts)
    add = rx.cond(EDITABLE, plan_forms.entitlement_dialog(), rx.fragment())
    return section(t("plan.entitlements"), table, actions=[add])


def _publish() -> rx.Component:
    return confirm_dialog(
        title=t("plan.publish", number=NUMBER),
        verb=t("plan.publish_verb"),
        text=t("plan.publish_text"),
        on_confirm=PlanState.publish,
        open=PlanState.open_dialog == "publish",
        on_open_change=PlanState.turn("publish"),
        danger=False,
    )


def _retire() -> rx.Component:
    return confirm_dialog(
        title=t("plan.retire", number=NUMBER),
        verb=t("plan.retire_verb"),
        text=t("plan.retire_text"),
        on_confirm=PlanState.retire,
        open=PlanState.open_dialog == "retire",
        on_open_change=PlanState.turn("retire"),
    )


def _dialogs() -> rx.Component:
    return rx.fragment(
        plan_forms.charge_dialog(),
        _publish(),
        _retire(),
        confirm_dialog(
            title=t("plan.remove_price"),
            verb=t("plan.remove"),
            on_confirm=PlanState.remove_charge,
            open=PlanState.open_dialog == "remove-charge",
            on_open_change=PlanState.turn("remove-charge"),
        ),
        confirm_dialog(
            title=t("plan.remove_entitlement"),
            verb=t("plan.remove"),
            on_confirm=PlanState.remove_entitlement,
            open=PlanState.open_dialog == "remove-entitlement",
            on_open_change=PlanState.turn("remove-entitlement"),
        ),
    )


def _move() -> rx.Component:
    """The way to moving those who have an older version, once there is one."""
    href = f"/governance/plans/{PlanState.plan['id'].to(str)}/move"
    may = SessionState.capabilities.contains(Capability.STAFF_SUBSCRIPTIONS_READ.value)
    there = may & (PlanState.versions.length() > 1)
    return rx.cond(there, button_link(t("plan_move.open"), href=href), rx.fragment())


def _acts() -> rx.Component:
    publish = action_button(
        t("plan.publish", number=NUMBER), on_press=PlanState.turn("publish", True), look="primary"
    )
    retire = action_button(t("plan.retire", number=NUMBER), on_press=PlanState.turn("retire", True))
    draft = action_button(t("plan.new_version"), on_press=PlanState.draft, icon="plus")
    return rx.fragment(
        rx.cond(EDITABLE & (PlanState.missing == ""), publish, rx.fragment()),
        rx.cond(MAY_WRITE & (PlanState.version["state"] == "published"), retire, rx.fragment()),
        rx.cond(MAY_WRITE & ~IS_DRAFT, draft, rx.fragment()),
    )


@page(
    "/governance/plans/[plan_id]",
    console=Console.GOVERNANCE,
    title="plan.title",
    needs=Capability.STAFF_PLANS_READ,
    on_load=PlanState.load,
)
def plan() -> Drawn:
    """A plan and one of its versions."""
    named = PlanState.plan["name"].to(str)
    waits = banner("warn", PlanState.missing, title=t("plan.cannot_publish"))
    content = rx.fragment(
        rx.cond(IS_DRAFT & (PlanState.missing != ""), waits, rx.fragment()),
        section(
            t("plan.version", number=NUMBER),
            plan_forms.terms(EDITABLE),
            actions=[status_badge(PlanState.version["state"], STATES), _acts()],
        ),
        _prices(),
        rx.cond(PlanState.charges.length() > 0, plan_forms.estimate(), rx.fragment()),
        _entitlements(),
        plan_forms.retention_offer(MAY_WRITE),
        section(
            t("plan.versions"),
            data_table(VERSIONS, PlanState.versions, zone=SessionState.zone),
            actions=[_move()],
        ),
        _dialogs(),
    )
    return [
        rx.el.p(link(t("plans.back"), href="/governance/plans"), class_name="back-link"),
        page_header(rx.cond(PlanState.plan["name"], named, t("plan.title"))),
        rx.cond(
            PlanState.plan["addon_to"],
            rx.el.p(t("plan.addon_to", plans=PlanState.plan["addon_to"].to(str)), class_name="muted"),
            rx.fragment(),
        ),
        in_its_state(
            PlanState, content, loading=skeleton(lines=8, label=t("plan.loading")), retry=PlanState.load
        ),
    ]
