"""What banks take back, what customers contest, and answering both."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.figures import fact, facts
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import money, when
from components.forms.fields import money_field, text_area
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, Trigger, dialog, dialog_close, dialog_foot, menu
from components.kit.tabs import LinkTab, link_tabs
from components.links import link
from components.props import Row
from components.shell.page import card, page_header, section
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t, texts_under
from matrix_app.pages import contest_lists, endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.governance import dispute_files
from matrix_app.pages.registry import Console, Drawn, page
from models.disputes import ContestState, DisputeState
from services.billing.invoices import DESCRIPTION_CHARACTERS_MAX
from services.core.permissions import Capability
from services.disputes import queries as dispute_queries
from state.governance.disputes import (
    CONTESTS,
    HOME,
    StaffContestsState,
    StaffDisputesState,
    StaffDisputeState,
)
from state.governance.payments import INVOICES
from state.governance.refunds import PAYMENTS
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
SAID_CHARACTERS_MAX = 5_000
_LOOKS = {
    DisputeState.WARNING_NEEDS_ANSWER: ("warn", None),
    DisputeState.WARNING_UNDER_REVIEW: ("info", "clock"),
    DisputeState.WARNING_CLOSED: ("ok", None),
    DisputeState.NEEDS_ANSWER: ("danger", None),
    DisputeState.UNDER_REVIEW: ("info", "clock"),
    DisputeState.WON: ("ok", None),
    DisputeState.LOST: ("neutral", "ban"),
}
STATES = {
    one.value: Status(f"disputes.state.{one.value}", tone, symbol)  # pyright: ignore[reportArgumentType]
    for one, (tone, symbol) in _LOOKS.items()
}
DISPUTES = table_of(
    dispute_queries.DISPUTES,
    "staff-disputes",
    Column("name", "disputes.invoice", kind="link", href="href", row_header=True),
    Column("organization", "disputes.organization"),
    Column("state", "disputes.state", kind="badge", statuses=STATES, brief=True),
    Column("due_at", "disputes.due_at", kind="datetime", brief=True),
    Column("amount", "disputes.amount", kind="money", currency="currency", brief=True),
    Column("reason", "disputes.reason"),
    Column("account", "disputes.account"),
    texts="disputes",
)
STAFF_CONTESTS = table_of(
    dispute_queries.STAFF_CONTESTS,
    "staff-contests",
    Column("name", "disputes.invoice", kind="link", href="href", row_header=True),
    Column("organization", "disputes.organization"),
    *contest_lists.columns(),
    texts="contests",
    caption="disputes.contests",
)
SAID = Table(
    "evidence",
    "disputes.evidence",
    columns=(
        Column("field", "disputes.field", row_header=True),
        Column("text", "disputes.said", draw=lambda row: rx.el.span(row["text"].to(str), class_name="party")),
    ),
)


def _tabs(current: str) -> rx.Component:
    return link_tabs(
        LinkTab(t("disputes.chargebacks"), HOME),
        LinkTab(t("disputes.contests"), CONTESTS),
        label=t("disputes.tabs"),
        current=current,
    )


def _filters(state: Filter) -> list[Filter]:
    return [
        Filter("organization_id", "disputes.organization_id", "search"),
        state,
        *days("created_at"),
    ]


_NAMES = {"organization_id": "disputes.organization", "created_at": "disputes.opened_at"}


@page(
    "/governance/disputes",
    console=Console.GOVERNANCE,
    title="disputes.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=StaffDisputesState.load,
)
def disputes() -> Drawn:
    """What banks take back or ask about."""
    states = [(name, t(look.text)) for name, look in STATES.items()]
    content = lists.listing(
        StaffDisputesState,
        DISPUTES,
        _filters(Filter("state", "disputes.state", options=states)),
        empty=empty_state(t("disputes.none"), t("disputes.none_text"), icon_name="triangle-alert"),
        names={name: t(text) for name, text in _NAMES.items()},
        values={f"state:{name}": words for name, words in states},
    )
    return [
        page_header(t("disputes.title"), lists.export(StaffDisputesState), text=t("disputes.text")),
        _tabs(HOME),
        in_its_state(StaffDisputesState, content, retry=StaffDisputesState.load),
    ]


def _acts(row: Row) -> rx.Component:
    entries = menu(
        t("table.actions_of", row=row["name"].to(str)),
        [
            MenuEntry("credit", t("contests.credit"), "check"),
            MenuEntry("refuse", t("contests.refuse"), "ban", danger=True),
        ],
        on_action=lambda act: StaffContestsState.ask(row["id"].to(str), act),
    )
    return rx.cond((row["state"] == ContestState.OPEN.value) & MAY_WRITE, entries, rx.fragment())


def _answer(name: str, *fields: rx.Component, danger: bool = False) -> rx.Component:
    look = "primary danger" if danger else "primary"
    return dialog(
        rest_form(
            f"contest-{name}",
            *fields,
            text_area("answer", t("contests.answer"), max_length=DESCRIPTION_CHARACTERS_MAX),
            dialog_foot(dialog_close(), submit_button(t(f"contests.{name}"), look=look)),
            url=f"{endpoints.STAFF_CONTESTS}/{StaffContestsState.chosen['id'].to(str)}/{name}",
            done_text=t(f"contests.{name}_done"),
            on_done=StaffContestsState.changed,
        ),
        title=t(f"contests.{name}"),
        description=t(f"contests.{name}_text"),
        open=StaffContestsState.open_dialog == name,
        on_open_change=StaffContestsState.dismiss,
    )


@page(
    "/governance/contests",
    console=Console.GOVERNANCE,
    title="disputes.contests",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=StaffContestsState.load,
)
def contests() -> Drawn:
    """What customers contest."""
    states = contest_lists.words()
    shown = [*states, (",".join(ContestState), t("contests.show_all"))]
    which = Filter("state[in]", "disputes.state", options=shown, any_text="contests.state.open")
    content = lists.listing(
        StaffContestsState,
        STAFF_CONTESTS,
        _filters(which),
        empty=empty_state(t("contests.none"), t("contests.none_text"), icon_name="triangle-alert"),
        names={name: t(text) for name, text in _NAMES.items()},
        values={f"state:{name}": words for name, words in states},
        actions=_acts,
    )
    amount = money_field(
        "amount",
        t("contests.amount"),
        currency=StaffContestsState.chosen["currency"].to(str),
        hint=t("contests.credit_hint"),
        required=False,
    )
    return [
        page_header(t("disputes.title"), lists.export(StaffContestsState), text=t("contests.text")),
        _tabs(CONTESTS),
        in_its_state(StaffContestsState, content, retry=StaffContestsState.load),
        _answer("credit", amount),
        _answer("refuse", danger=True),
    ]


def _facts(row: Row) -> rx.Component:
    currency = row["currency"].to(str)

    def at(name: str) -> rx.Component:
        shown = when(row[name], zone=SessionState.zone)
        return rx.cond(row[name], fact(t(f"disputes.{name}"), shown), rx.fragment())

    invoice = link(row["number"].to(str), href=f"{INVOICES}/{row['invoice_id'].to(str)}")
    return card(
        facts(
            (t("disputes.state"), rx.fragment(status_badge(row["state"], STATES))),
            (t("disputes.amount"), money(row["amount"], currency)),
            (t("disputes.owed"), money(row["owed"], currency)),
            (t("disputes.fee"), money(row["fee"], row["fee_currency"].to(str))),
            (t("disputes.reason"), row["reason"].to(str)),
            (t("disputes.account"), row["account"].to(str)),
            (
                t("disputes.payment"),
                link(row["payment_id"].to(str), href=f"{PAYMENTS}/{row['payment_id'].to(str)}"),
            ),
            rx.cond(row["invoice_id"], fact(t("disputes.invoice"), rx.fragment(invoice)), rx.fragment()),
            *(at(name) for name in ("opened_at", "due_at", "submitted_at", "conceded_at", "ended_at")),
        )
    )


def _happened(step: Row) -> rx.Component:
    """In the words of the audit log."""
    words = texts_under("audit.event").items()
    known = [(name, said) for name, said in words if name.startswith("dispute.")]
    return rx.fragment(rx.match(step["type"], *known, step["type"].to(str)))


def _act(name: str, done: str, *fields: rx.Component, look: str, symbol: str) -> rx.Component:
    row: Any = StaffDisputeState.dispute
    return dialog(
        rest_form(
            f"dispute-{name}",
            *fields,
            dialog_foot(dialog_close(), submit_button(t(f"disputes.{name}"), look=look or "primary danger")),
            url=f"{endpoints.STAFF_DISPUTES}/{row['id'].to(str)}/{name}",
            done_text=t(f"disputes.{done}"),
            on_done=StaffDisputeState.changed,
        ),
        title=t(f"disputes.{name}"),
        description=t(f"disputes.{name}_text"),
        trigger=Trigger(t(f"disputes.{name}"), look, symbol),
    )


@page(
    "/governance/disputes/[dispute_id]",
    console=Console.GOVERNANCE,
    title="disputes.one",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=StaffDisputeState.load,
)
def dispute() -> Drawn:
    """One dispute: how it stands, what speaks for us, and what happened."""
    row = StaffDisputeState.dispute
    own_words = text_area(
        "said",
        t("disputes.own_words"),
        hint=t("disputes.own_words_hint"),
        required=False,
        max_length=SAID_CHARACTERS_MAX,
    )
    may_act = MAY_WRITE & row["asks"].to(bool)
    answer = _act("answer", "answered", own_words, look="primary", symbol="check")
    acts = [
        rx.cond(may_act, _act("concede", "conceded", look="", symbol="ban"), rx.fragment()),
        rx.cond(may_act & StaffDisputeState.takes_answers, answer, rx.fragment()),
    ]
    steps = Table(
        "dispute-steps",
        "disputes.timeline",
        columns=(
            Column("at", "disputes.at", kind="datetime", row_header=True),
            Column("type", "disputes.step", draw=_happened),
        ),
    )
    said = data_table(
        SAID,
        StaffDisputeState.said,
        status=StaffDisputeState.status,
        empty=rx.el.p(t("disputes.no_evidence"), class_name="muted"),
    )
    elsewhere = rx.cond(
        row["asks"].to(bool) & ~StaffDisputeState.takes_answers,
        banner("info", t("disputes.elsewhere")),
        rx.fragment(),
    )
    under_way = rx.cond(row["answering_at"], banner("info", t("disputes.under_way")), rx.fragment())
    content = rx.fragment(
        elsewhere,
        under_way,
        _facts(row),
        section(t("disputes.evidence"), rx.el.p(t("disputes.evidence_text"), class_name="muted"), said),
        dispute_files.files(),
        section(t("disputes.timeline"), data_table(steps, StaffDisputeState.steps, zone=SessionState.zone)),
    )
    title = rx.cond(row["number"], t("disputes.of", number=row["number"].to(str)), t("disputes.one"))
    return [
        rx.el.p(link(t("disputes.all"), href=HOME), class_name="back-link"),
        page_header(title, *acts, text=row["organization"].to(str)),
        in_its_state(
            StaffDisputeState,
            content,
            loading=skeleton(lines=10, label=t("disputes.loading")),
            retry=StaffDisputeState.load,
        ),
        dispute_files.remove(),
    ]
