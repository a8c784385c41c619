"""Organisations as staff sees them: all, and one with its people and usage."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.figures import copyable, facts
from components.feedback.states import empty_state, skeleton
from components.format.values import money, value, when
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.links import button_link, link
from components.shell.page import card, page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.governance import clock, customer_tax, dunning_holds
from matrix_app.pages.registry import Console, Drawn, page
from models.types import OrganizationKind, Role
from services.core.permissions import Capability
from services.identity import queries as identity
from state.governance.customer_tax import CustomerTaxState
from state.governance.dunning_holds import CustomerHoldState
from state.governance.organizations import OrganizationsState, OrganizationState
from state.session import SessionState

STATUSES = {
    "active": Status("organizations.active", "ok"),
    "suspended": Status("organizations.suspended", "warn", "ban"),
}
KINDS = {
    kind.value: Status(f"organizations.kind.{kind.value}", "neutral", "building-2")
    for kind in OrganizationKind
}

TIMES = {
    "wall": Status("organizations.time.wall", "neutral"),
    "clock": Status("organizations.time.clock", "warn", "clock"),
}

ORGANIZATIONS = table_of(
    identity.ORGANIZATIONS,
    "organizations",
    Column("name", "organizations.name", kind="link", href="href", row_header=True),
    Column("kind", "organizations.kind", kind="badge", statuses=KINDS),
    "members",
    Column("active_keys", "organizations.keys", kind="number"),
    "currency",
    Column("status", "organizations.status", kind="badge", statuses=STATUSES),
    Column("time", "organizations.on_clock", kind="badge", statuses=TIMES),
    Column("created_at", "organizations.since", kind="date"),
    texts="organizations",
)

MEMBERS = Table(
    "members",
    "organization.members",
    columns=(
        Column("name", "organizations.name", row_header=True),
        Column("email", "organization.email"),
        Column("role", "organization.role", draw=lambda row: _role(row["role"])),
        Column("joined_at", "organization.joined", kind="date"),
    ),
)


def _role(role: rx.Var[Any]) -> rx.Component:
    return rx.match(role, *[(one.value, t(f"role.{one.value}")) for one in Role], role.to(str))


@page(
    "/governance/organizations",
    console=Console.GOVERNANCE,
    title="organizations.title",
    needs=Capability.STAFF_ORGANIZATIONS_READ,
    on_load=OrganizationsState.load,
)
def organizations() -> Drawn:
    """All organisations, by name."""
    kinds = [(kind.value, t(f"organizations.kind.{kind.value}")) for kind in OrganizationKind]
    statuses = [(name, t(status.text)) for name, status in STATUSES.items()]
    times = [(on_clock, t(TIMES[name].text)) for on_clock, name in (("true", "clock"), ("false", "wall"))]
    content = lists.listing(
        OrganizationsState,
        ORGANIZATIONS,
        [
            Filter("search", "organizations.search", "search"),
            Filter("kind", "organizations.kind", options=kinds),
            Filter("status", "organizations.status", options=statuses),
            Filter("on_clock", "organizations.on_clock", options=times),
        ],
        empty=empty_state(t("organizations.none"), t("organizations.none_text"), icon_name="building-2"),
        names={"search": t("organizations.search"), "on_clock": t("organizations.on_clock")},
        values={
            **{f"kind:{name}": words for name, words in kinds},
            **{f"status:{name}": words for name, words in statuses},
            **{f"on_clock:{name}": words for name, words in times},
        },
    )
    return [
        page_header(t("organizations.title"), lists.export(OrganizationsState), text=t("organizations.text")),
        in_its_state(OrganizationsState, content, retry=OrganizationsState.load),
    ]


def _change_dialog(verb: str, *, danger: bool) -> rx.Component:
    """Suspend or resume, after the consequence was read."""
    organization = OrganizationState.organization
    name = organization["name"].to(str)
    text = (
        t(f"organization.{verb}_text", n=organization["active_keys"])
        if danger
        else t(f"organization.{verb}_text")
    )
    words = t(f"organization.{verb}")
    return dialog(
        rx.el.p(text),
        rest_form(
            f"{verb}-organization",
            dialog_foot(dialog_close(), submit_button(words, look="primary danger" if danger else "primary")),
            url=f"{endpoints.STAFF_ORGANIZATIONS}/{organization['id'].to(str)}/{verb}",
            done_text=t("organization.suspended" if danger else "organization.resumed"),
            on_done=OrganizationState.load,
        ),
        title=t(f"organization.{verb}_title", name=name),
        trigger=Trigger(words, "danger" if danger else "", "ban" if danger else "rotate-ccw"),
        open=OrganizationState.asking,
        on_open_change=OrganizationState.ask,
        size="small",
    )


def _change() -> rx.Component:
    organization = OrganizationState.organization
    may = SessionState.capabilities.contains(Capability.STAFF_ORGANIZATIONS_WRITE.value)
    either = rx.cond(
        organization["status"] == "suspended",
        _change_dialog("resume", danger=False),
        _change_dialog("suspend", danger=True),
    )
    shown = may & (OrganizationState.status == "ready") & (organization["kind"] != "operator")
    return rx.cond(shown, either, rx.fragment())


def _bills(organization_id: rx.Var[str]) -> rx.Component:
    """The ways to what this organisation has and owes, for who may see it."""
    lists_of = (
        ("subscriptions", Capability.STAFF_SUBSCRIPTIONS_READ),
        ("invoices", Capability.STAFF_INVOICES_READ),
        ("payments", Capability.STAFF_PAYMENTS_READ),
        ("wallets", Capability.STAFF_WALLETS_READ),
    )
    ways = [
        rx.cond(
            SessionState.capabilities.contains(needs.value),
            link(t(f"nav.{name}"), href=f"/governance/{name}?organization_id={organization_id}"),
            rx.fragment(),
        )
        for name, needs in lists_of
    ]
    return rx.el.span(*ways, class_name="row")


def _facts() -> rx.Component:
    organization = OrganizationState.organization
    billing = [(mode, t(f"organization.billing.{mode}")) for mode in ("postpaid", "prepaid")]
    return card(
        facts(
            (t("organization.id"), copyable(organization["id"].to(str), label=t("organization.id"))),
            (t("organizations.kind"), status_badge(organization["kind"], KINDS)),
            (t("organizations.status"), status_badge(organization["status"], STATUSES)),
            (t("organization.timezone"), organization["timezone"].to(str)),
            (t("organizations.currency"), organization["currency"].to(str)),
            (t("organization.billing_mode"), rx.match(organization["billing_mode"], *billing, "")),
            (t("organizations.since"), when(organization["created_at"], "date", zone=SessionState.zone)),
            (t("organization.bills"), _bills(organization["id"].to(str))),
        ),
        title=t("organization.facts"),
    )


def _month() -> rx.Component:
    month, currency = OrganizationState.month, OrganizationState.organization["currency"].to(str)
    return card(
        facts(
            (t("organization.requests"), value(month["requests"], "number")),
            (t("organization.error_rate"), value(month["error_rate"], "percent")),
            (t("organization.input"), value(month["prompt_tokens"], "tokens")),
            (t("organization.output"), value(month["completion_tokens"], "tokens")),
            (t("organization.cost"), money(month["cost"], currency)),
        ),
        title=t("organization.month"),
    )


@page(
    "/governance/organizations/[organization_id]",
    console=Console.GOVERNANCE,
    title="organization.title",
    needs=Capability.STAFF_ORGANIZATIONS_READ,
    on_load=[OrganizationState.load, CustomerTaxState.load, CustomerHoldState.load],
)
def organization() -> Drawn:
    """One organisation."""
    people = section(
        t("organization.members"),
        data_table(
            MEMBERS,
            OrganizationState.members,
            status=OrganizationState.status,
            empty=empty_state(
                t("organization.no_members"), t("organization.no_members_text"), icon_name="users", level=3
            ),
            zone=SessionState.zone,
        ),
    )
    name = OrganizationState.organization["name"].to(str)
    bill = SessionState.capabilities.contains(Capability.STAFF_SUBSCRIPTIONS_WRITE.value)
    here = f"/governance/organizations/{OrganizationState.organization['id'].to(str)}"
    subscribe = button_link(t("organization.subscribe"), href=f"{here}/subscribe", icon_name="plus")
    return [
        rx.el.p(link(t("organization.back"), href="/governance/organizations"), class_name="back-link"),
        page_header(
            rx.cond(name, name, t("organization.title")),
            rx.cond(bill & (OrganizationState.status == "ready"), subscribe, rx.fragment()),
            _change(),
        ),
        in_its_state(
            OrganizationState,
            rx.fragment(
                rx.el.div(_facts(), _month(), class_name="grid-halves"),
                people,
                customer_tax.tax_section(),
                dunning_holds.hold_section(OrganizationState.organization["id"].to(str)),
                clock.clock_section(),
            ),
            loading=skeleton(lines=10, label=t("organization.loading")),
            retry=OrganizationState.load,
        ),
    ]
