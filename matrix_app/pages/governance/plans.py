"""The catalogue as a list: plans, and creating products and plans."""

from __future__ import annotations

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.forms.fields import select, text_area, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.catalog import plan_queries
from services.catalog.plan_rules import DESCRIPTION_CHARACTERS_MAX, NAME_CHARACTERS_MAX
from services.core.permissions import Capability
from state.governance.plans import PlansState
from state.session import SessionState

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
    Column("state", "plans.state", kind="badge", statuses=STATES),
    Column("published", "plans.published", kind="number"),
    Column("draft", "plans.draft", kind="number"),
    texts="plans",
)


def _named() -> list[rx.Component]:
    return [
        text_field("name", t("plans.name"), max_length=NAME_CHARACTERS_MAX, autocomplete="off"),
        text_field(
            "slug",
            t("plans.slug"),
            hint=t("plans.slug_hint"),
            pattern="[a-z0-9][a-z0-9-]*",
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
    return dialog(
        rest_form(
            "new-plan",
            select("product_id", t("plans.product"), PlansState.products),
            *_named(),
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


@page(
    "/governance/plans",
    console=Console.GOVERNANCE,
    title="plans.title",
    needs=Capability.STAFF_PLANS_READ,
    on_load=PlansState.load,
)
def plans() -> Drawn:
    """Plans by slug."""
    may_write = SessionState.capabilities.contains(Capability.STAFF_PLANS_WRITE.value)
    has_products = PlansState.products.length() > 0
    content = lists.listing(
        PlansState,
        PLANS,
        [
            Filter("product_id", "plans.product", options=PlansState.products),
            Filter("name[contains]", "plans.name", "search"),
        ],
        empty=empty_state(t("plans.none"), t("plans.none_text"), icon_name="layers"),
    )
    return [
        page_header(
            t("plans.title"),
            lists.export(PlansState),
            rx.cond(may_write, _new_product(), rx.fragment()),
            rx.cond(may_write & has_products, _new_plan(), rx.fragment()),
            text=t("plans.text"),
        ),
        in_its_state(PlansState, content, retry=PlansState.load),
    ]
