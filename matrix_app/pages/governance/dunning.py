"""Customers in dunning, and the campaigns that they are in."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.figures import facts
from components.feedback.states import empty_state
from components.format.values import value
from components.forms.fields import checkbox, number_field, text_area, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot, icon_button
from components.links import link
from components.shell.page import page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.governance import dunning_holds
from matrix_app.pages.registry import Console, Drawn, page
from models.dunning import CaseState, StepAction
from services.core.permissions import Capability
from services.dunning import queries
from services.dunning.campaigns import NAME_CHARACTERS_MAX, RANK_MAX
from state.governance.dunning import CampaignsState, DunningState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
STATES = {
    "active": Status("dunning.state.active", "warn", "clock"),
    "paused": Status("dunning.state.paused", "neutral", "hourglass"),
    "recovered": Status("dunning.outcome.recovered", "ok"),
    "not_owed": Status("dunning.outcome.not_owed", "neutral", "check"),
    "written_off": Status("dunning.outcome.written_off", "danger"),
    "all_done": Status("dunning.outcome.all_done", "danger"),
    "skipped": Status("dunning.outcome.skipped", "neutral", "ban"),
    "canceled": Status("dunning.outcome.canceled", "neutral", "ban"),
}
SWITCHED = {"on": Status("campaigns.on", "ok"), "off": Status("campaigns.off", "neutral", "ban")}


def action_words(action: rx.Var[Any]) -> rx.Component:
    words = [(one.value, t(f"dunning.action.{one.value}")) for one in StepAction]
    return value(rx.match(action, *words, ""))


CASES = table_of(
    queries.CASES,
    "dunning",
    Column("number", "dunning.invoice", kind="link", href="href", row_header=True),
    Column("organization", "dunning.organization"),
    Column("state", "dunning.state", kind="badge", statuses=STATES, brief=True),
    Column("due", "dunning.due", kind="money", currency="currency", brief=True),
    Column("done", "dunning.done"),
    Column("next", "dunning.next", draw=lambda row: action_words(row["next"])),
    Column("next_at", "dunning.next_at", kind="datetime"),
    Column("recovered", "dunning.recovered", kind="money", currency="currency"),
    Column("lost", "dunning.lost", kind="money", currency="currency"),
    Column("campaign", "dunning.campaign"),
    Column("created_at", "dunning.created_at", kind="datetime"),
    texts="dunning",
)
CAMPAIGNS = table_of(
    queries.CAMPAIGNS,
    "campaigns",
    Column("name", "campaigns.name", row_header=True),
    Column("enabled", "campaigns.enabled", kind="badge", statuses=SWITCHED, brief=True),
    Column(
        "segment",
        "campaigns.segment",
        draw=lambda row: rx.cond(row["segment"], row["segment"].to(str), t("campaigns.everybody")),
    ),
    Column("in_short", "campaigns.steps"),
    Column("retry_days", "campaigns.retry_days"),
    Column("open_cases", "campaigns.open_cases", kind="number"),
    Column("recovered", "campaigns.recovered", brief=True),
    Column("lost", "campaigns.lost"),
    Column("created_at", "campaigns.created_at", kind="date"),
    texts="campaigns",
)


BY_STEP = Table(
    "campaign-steps",
    "campaigns.by_step",
    columns=(
        Column("number", "dunning.step", kind="number", row_header=True),
        Column("action", "dunning.action", draw=lambda row: action_words(row["action"])),
        Column("done", "campaigns.done", kind="number"),
        Column("recovered", "dunning.recovered", kind="money", currency="currency"),
    ),
)


def _decide(row: Row) -> rx.Component:
    """What staff may do about one that has not ended."""
    case_id, number = row["id"].to(str), row["number"].to(str)
    paused = row["state"] == CaseState.PAUSED.value
    hold = rx.cond(
        paused,
        icon_button(
            t("dunning.resume_of", number=number), "refresh-cw", on_press=DunningState.resume(case_id)
        ),
        icon_button(t("dunning.pause_of", number=number), "hourglass", on_press=DunningState.pause(case_id)),
    )
    skip = icon_button(t("dunning.skip_of", number=number), "ban", on_press=DunningState.skip(case_id))
    is_open = paused | (row["state"] == CaseState.ACTIVE.value)
    customer = icon_button(
        t("holds.place_of", name=row["organization"].to(str)),
        "building-2",
        on_press=DunningState.ask(case_id, "hold"),
    )
    return rx.cond(
        MAY_WRITE,
        rx.fragment(rx.cond(is_open, rx.fragment(hold, skip), rx.fragment()), customer),
        rx.fragment(),
    )


def _hold() -> rx.Component:
    chosen = DunningState.chosen
    return dialog(
        dunning_holds.hold_form(
            "hold-customer", chosen["organization_id"].to(str), on_done=DunningState.changed
        ),
        title=t("holds.place_of", name=chosen["organization"].to(str)),
        description=t("holds.place_text"),
        open=DunningState.open_dialog == "hold",
        on_open_change=DunningState.dismiss,
    )


@page(
    "/governance/dunning",
    console=Console.GOVERNANCE,
    title="dunning.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=DunningState.load,
)
def dunning() -> Drawn:
    """Overdue invoices in campaigns, the newest first."""
    states = [(one.value, t(f"dunning.state.{one.value}")) for one in CaseState]
    content = lists.listing(
        DunningState,
        CASES,
        [
            Filter("organization_id", "dunning.organization_id", "search"),
            Filter("state", "dunning.state", options=states),
        ],
        empty=empty_state(t("dunning.none"), t("dunning.none_text"), icon_name="receipt"),
        names={"organization_id": t("dunning.organization"), "campaign_id": t("dunning.campaign")},
        values={f"state:{name}": words for name, words in states},
        actions=_decide,
    )
    return [
        page_header(t("dunning.title"), lists.export(DunningState), text=t("dunning.text")),
        rx.el.p(
            link(t("dunning.to_campaigns"), href="/governance/dunning/campaigns"),
            " · ",
            link(t("holds.title"), href=dunning_holds.HOME),
            class_name="back-link",
        ),
        in_its_state(DunningState, content, retry=DunningState.load),
        _hold(),
    ]


def _learned() -> Any:
    """What the switch is worth, and on which history."""
    told = CampaignsState.learned
    named = {name: told[name].to(str) for name in ("fixed", "learned", "retries", "agreeing", "known")}
    return rx.cond(
        told["is_synthetic"],
        t("campaigns.learned_synthetic", **named),
        t("campaigns.learned_real", **named),
    )


def _fields(row: Row | None = None) -> list[rx.Component]:
    """What a campaign says; `row` is the one that is edited."""

    def said(name: str, otherwise: Any = "") -> Any:
        return otherwise if row is None else row[name]

    def hint(name: str) -> Any:
        return t(f"campaigns.{name}_hint")

    def words(name: str) -> Any:
        return t(f"campaigns.{name}")

    return [
        text_field("name", words("name"), value=said("name"), max_length=NAME_CHARACTERS_MAX, autocomplete="off"),
        checkbox("enabled", words("enabled"), value=said("is_enabled", otherwise=False)),
        text_area("steps", words("steps"), hint=hint("steps"), value=said("steps", "3 in_app\n7 mail\n14 restrict")),
        text_field(
            "retry_days", words("retry_days"), hint=hint("retry_days"), value=said("retry_days", "1, 3, 5, 7"),
            required=False, autocomplete="off",
        ),
        checkbox(
            "learned_hours", words("learned_hours"), hint=_learned(), value=said("learned_hours", otherwise=False)
        ),
        number_field("rank", words("rank"), hint=hint("rank"), value=said("rank", 0), min=0, max=RANK_MAX, step=1),
        text_field("plan_id", words("plan_id"), value=said("plan_id"), required=False, autocomplete="off"),
        text_field("currency", words("currency"), value=said("currency"), required=False, max_length=3),
        text_field(
            "country", words("country"), hint=hint("country"), value=said("country"), required=False, max_length=2
        ),
        number_field("minimum_minor", words("minimum_minor"), value=said("minimum_minor", 0), min=0, step=1),
        number_field(
            "maximum_minor", words("maximum_minor"), value=said("maximum_minor", None), required=False, min=0, step=1
        ),
    ]  # fmt: skip


def _create() -> rx.Component:
    made = dialog(
        rest_form(
            "new-campaign",
            *_fields(),
            dialog_foot(dialog_close(), submit_button(t("campaigns.create"))),
            url=endpoints.STAFF_DUNNING_CAMPAIGNS,
            done_text=t("campaigns.created"),
            on_done=CampaignsState.changed,
        ),
        title=t("campaigns.create"),
        description=t("campaigns.create_text"),
        trigger=Trigger(t("campaigns.create"), "primary", "plus"),
        open=CampaignsState.open_dialog == "new",
        on_open_change=lambda is_open: CampaignsState.turn("new", is_open),
    )
    return rx.cond(MAY_WRITE, made, rx.fragment())


def _edit() -> rx.Component:
    chosen = CampaignsState.chosen
    return dialog(
        rest_form(
            "edit-campaign",
            *_fields(chosen),
            dialog_foot(dialog_close(), submit_button(t("campaigns.save"))),
            url=f"{endpoints.STAFF_DUNNING_CAMPAIGNS}/{chosen['id'].to(str)}",
            method="PUT",
            version=chosen["version"].to(int),
            done_text=t("campaigns.saved"),
            on_done=CampaignsState.changed,
            on_take_theirs=CampaignsState.load,
        ),
        title=t("campaigns.edit_of", name=chosen["name"].to(str)),
        description=t("campaigns.edit_text"),
        open=CampaignsState.open_dialog == "edit",
        on_open_change=lambda is_open: CampaignsState.turn("edit", is_open),
    )


def _acts(row: Row) -> rx.Component:
    campaign_id, name = row["id"].to(str), row["name"].to(str)
    edit = icon_button(t("campaigns.edit_of", name=name), "pencil", on_press=CampaignsState.ask(campaign_id))
    return rx.fragment(
        icon_button(
            t("campaigns.simulate_of", name=name), "activity", on_press=CampaignsState.simulate(campaign_id)
        ),
        icon_button(t("campaigns.look_of", name=name), "receipt", on_press=CampaignsState.look(campaign_id)),
        rx.cond(MAY_WRITE, edit, rx.fragment()),
    )


def _by_step() -> rx.Component:
    """What each step of the campaign that is looked at brought in."""
    told = section(
        t("campaigns.by_step_of", name=CampaignsState.looked_at),
        data_table(
            BY_STEP,
            CampaignsState.by_step,
            empty=rx.el.p(t("campaigns.no_steps"), class_name="muted"),
            zone=SessionState.zone,
        ),
    )
    return rx.cond(CampaignsState.looked_at, told, rx.fragment())


def _simulated() -> rx.Component:
    """What the campaign that was tried would have done."""
    made = CampaignsState.simulated
    names = (
        "invoices",
        "retries",
        "mails",
        "restricted",
        "suspended",
        "cancelled",
        "written_off",
        "failed",
        "came",
        "expected",
    )
    told = section(
        t("campaigns.simulated", name=made["name"].to(str)),
        facts(*((t(f"campaigns.sim.{name}"), rx.fragment(made[name].to(str))) for name in names)),
        rx.el.p(t("campaigns.sim.assumption"), class_name="muted"),
    )
    return rx.cond(made["name"], told, rx.fragment())


@page(
    "/governance/dunning/campaigns",
    console=Console.GOVERNANCE,
    title="campaigns.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=CampaignsState.load,
)
def campaigns() -> Drawn:
    """All campaigns, and what each has recovered."""
    content = lists.listing(
        CampaignsState,
        CAMPAIGNS,
        empty=empty_state(t("campaigns.none"), t("campaigns.none_text"), icon_name="receipt"),
        actions=_acts,
    )
    return [
        rx.el.p(link(t("campaigns.back"), href="/governance/dunning"), class_name="back-link"),
        page_header(t("campaigns.title"), lists.export(CampaignsState), _create(), text=t("campaigns.text")),
        in_its_state(
            CampaignsState, rx.fragment(_simulated(), _by_step(), content, _edit()), retry=CampaignsState.load
        ),
    ]
