"""The catalogue as a list: plans, and creating products and plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.forms.fields import checkboxes, select, text_area, text_field
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot, icon_button
from components.shell.page import page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.catalog import plan_queries
from services.catalog.plan_rules import DESCRIPTION_CHARACTERS_MAX, NAME_CHARACTERS_MAX
from services.core.permissions import Capability
from state.governance.plans import PlansState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PLANS_WRITE.value)
HAS_PRODUCTS = PlansState.products.length() > 0
STATES = {
    "published": Status("plans.published", "ok"),
    "draft": Status("plans.draft", "info", "pencil"),
    "retired": Status("plans.retired", "neutral", "ban"),
}
PLANS = table_of(
    plan_queries.PLANS,
    "plans",
    Column("name", "plans.name", kind="link", href="href", row_header=True),
    Column("slug", "plans.slug", kind="code"),
    Column("product_name", "plans.product"),
    Column("addon_to", "plans.adds_to"),
    Column("state", "plans.state", kind="badge", statuses=STATES),
    Column("published", "plans.published", kind="number"),
    Column("draft", "plans.draft", kind="number"),
    texts="plans",
)
PRODUCTS = Table(
    "products",
    "plans.products",
    columns=(
        Column("name", "plans.name", row_header=True),
        Column("slug", "plans.slug", kind="code"),
        Column("description", "plans.description"),
        Column("plans", "plans.plans", kind="number"),
    ),
)


def _named() -> list[rx.Component]:
    return [
        text_field("name", t("plans.name"), max_length=NAME_CHARACTERS_MAX, autocomplete="off"),
        text_field(
            "slug",
            t("plans.slug"),
            hint=t("plans.slug_hint"),
            pattern=r"[a-z0-9][a-z0-9\-]*",
            autocomplete="off",
        ),
        text_area(
            "description",
            t("plans.description"),
            required=False,
            rows=2,
            max_length=DESCRIPTION_CHARACTERS_MAX,
        ),
    ]


def _new_product() -> rx.Component:
    return dialog(
        rest_form(
            "new-product",
            *_named(),
            dialog_foot(dialog_close(), submit_button(t("plans.new_product"))),
            url=endpoints.STAFF_PRODUCTS,
            done_text=t("plans.product_created"),
            on_done=PlansState.changed,
        ),
        title=t("plans.new_product"),
        description=t("plans.new_product_text"),
        trigger=Trigger(t("plans.new_product"), "", "plus"),
        open=PlansState.open_dialog == "product",
        on_open_change=PlansState.turn("product"),
    )


def _new_plan() -> rx.Component:
    hosts = checkboxes("addon_to", t("plans.addon_to"), PlansState.hosts, hint=t("plans.addon_to_hint"))
    return dialog(
        rest_form(
            "new-plan",
            select("product_id", t("plans.product"), PlansState.products),
            *_named(),
            rx.cond(PlansState.hosts.length() > 0, hosts, rx.fragment()),
            dialog_foot(dialog_close(), submit_button(t("plans.new"))),
            url=endpoints.STAFF_PLANS,
            done_text=t("plans.created"),
            on_done=PlansState.planned,
        ),
        title=t("plans.new"),
        description=t("plans.new_text"),
        trigger=Trigger(t("plans.new"), "primary", "plus"),
        open=PlansState.open_dialog == "plan",
        on_open_change=PlansState.turn("plan"),
    )


def _rename(kind: str, url: str) -> rx.Component:
    row = PlansState.renaming
    return dialog(
        rest_form(
            f"rename-{kind}",
            text_field(
                "name",
                t("plans.name"),
                value=row["name"],
                max_length=NAME_CHARACTERS_MAX,
                autocomplete="off",
            ),
            text_area(
                "description",
                t("plans.description"),
                value=row["description"],
                required=False,
                rows=2,
                max_length=DESCRIPTION_CHARACTERS_MAX,
            ),
            dialog_foot(dialog_close(), submit_button(t("plans.save"))),
            url=f"{url}/{row['id'].to(str)}",
            method="PATCH",
            version=row["version"].to(int),
            on_take_theirs=PlansState.take_theirs,
            done_text=t("plans.renamed"),
            on_done=PlansState.changed,
        ),
        title=t("plans.rename", name=row["name"].to(str)),
        description=t("plans.rename_text"),
        open=PlansState.open_dialog == f"rename-{kind}",
        on_open_change=PlansState.turn(f"rename-{kind}"),
    )


def _may_rename(kind: str) -> Callable[[Row], rx.Component]:
    def act(row: Row) -> rx.Component:
        name = t("plans.rename", name=row["name"].to(str))
        press = icon_button(name, "pencil", on_press=PlansState.ask_rename(kind, row["id"].to(str)))
        return rx.cond(MAY_WRITE, press, rx.fragment())

    return act


def _products() -> rx.Component:
    begin = action_button(
        t("plans.new_product"), on_press=PlansState.turn("product", True), look="primary", icon="plus"
    )
    none = empty_state(
        t("plans.products_none"),
        t("plans.new_product_text"),
        action=rx.cond(MAY_WRITE, begin, rx.fragment()),
        icon_name="boxes",
        level=3,
    )
    return section(
        t("plans.products"),
        data_table(
            PRODUCTS,
            PlansState.product_rows,
            status=PlansState.status,
            empty=none,
            actions=_may_rename("product"),
        ),
    )


@page(
    "/governance/plans",
    console=Console.GOVERNANCE,
    title="plans.title",
    needs=Capability.STAFF_PLANS_READ,
    on_load=PlansState.load,
)
def plans() -> Drawn:
    """Plans by slug."""
    content = lists.listing(
        PlansState,
        PLANS,
        [
            Filter("product_id", "plans.product", options=PlansState.products),
            Filter("name[contains]", "plans.name", "search"),
        ],
        empty=empty_state(t("plans.none"), t("plans.none_text"), icon_name="layers"),
        actions=_may_rename("plan"),
    )
    return [
        page_header(
            t("plans.title"),
            lists.export(PlansState),
            rx.cond(MAY_WRITE, _new_product(), rx.fragment()),
            rx.cond(MAY_WRITE & HAS_PRODUCTS, _new_plan(), rx.fragment()),
            text=t("plans.text"),
        ),
        in_its_state(PlansState, rx.fragment(content, _products()), retry=PlansState.load),
        _rename("plan", endpoints.STAFF_PLANS),
        _rename("product", endpoints.STAFF_PRODUCTS),
    ]
