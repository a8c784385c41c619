"""Cases about money: what does not fit, what probably happened, and what would put it right."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.figures import fact, facts
from components.feedback.states import empty_state, skeleton
from components.format.values import money, when
from components.forms.fields import Option, radios, text_area
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import dialog, dialog_close, dialog_foot
from components.links import link
from components.shell.page import card, page_header, section
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t, texts_under
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from models.payment_cases import CaseAct, CaseKind
from models.refunds import RefundTo
from services.core.permissions import Capability
from services.reconciliation import queries
from services.reconciliation.acts import NOTE_CHARACTERS_MAX
from state.governance.cases import PaymentCasesState, PaymentCaseState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
_S = PaymentCaseState
_ROW = PaymentCaseState.case
STATES = {
    "open": Status("cases.state.open", "warn"),
    "accepted": Status("cases.state.accepted", "ok"),
    "dismissed": Status("cases.state.dismissed", "neutral", "ban"),
}


def _words(value: rx.Var[Any], which: str) -> Any:
    """`kind`, `cause` or `act` as people say it; what nobody has words for as it is."""
    return rx.match(value, *texts_under(which).items(), value.to(str))


def _cause(row: Any) -> rx.Component:
    return rx.fragment(_words(row["cause"], "cases.cause"))


def _kind(row: Any) -> rx.Component:
    return rx.fragment(_words(row["kind"], "cases.kind"))


def _purpose(row: Any) -> rx.Component:
    return rx.fragment(_words(row["purpose"], "ledger.purpose"))


CASES = table_of(
    queries.CASES,
    "payment-cases",
    Column("detail", "cases.detail", kind="link", href="href", row_header=True),
    Column("cause", "cases.cause", draw=_cause, brief=True),
    Column("kind", "cases.kind", draw=_kind),
    Column("organization", "cases.organization"),
    Column("amount", "cases.amount", kind="money", currency="currency", brief=True),
    Column("state", "cases.state", kind="badge", statuses=STATES, brief=True),
    Column("created_at", "cases.created_at", kind="datetime"),
    texts="cases",
)
ENTRIES = Table(
    "entries",
    "cases.entries",
    columns=(
        Column("purpose", "ledger.purpose", row_header=True, draw=_purpose),
        Column("debit", "ledger.debit", kind="money", currency="currency"),
        Column("credit", "ledger.credit", kind="money", currency="currency"),
    ),
)


@page(
    "/governance/cases",
    console=Console.GOVERNANCE,
    title="cases.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=PaymentCasesState.load,
)
def payment_cases() -> Drawn:
    """What somebody has to look at, the newest first."""
    kinds = [(one.value, t(f"cases.kind.{one.value}")) for one in CaseKind]
    states = [(name, t(look.text)) for name, look in STATES.items()]
    shown = [*states, (",".join(STATES), t("cases.show_all"))]
    content = lists.listing(
        PaymentCasesState,
        CASES,
        [
            Filter("kind", "cases.kind", options=kinds),
            Filter("state[in]", "cases.state", options=shown, any_text="cases.state.open"),
            Filter("organization_id", "cases.organization_id", "search"),
            *days("created_at"),
        ],
        empty=empty_state(t("cases.none"), t("cases.none_text"), icon_name="check"),
        names={"organization_id": t("cases.organization_id")},
        values={f"kind:{name}": words for name, words in kinds}
        | {f"state:{name}": words for name, words in states},
    )
    return [
        page_header(t("cases.title"), lists.export(PaymentCasesState), text=t("cases.text")),
        in_its_state(PaymentCasesState, content, retry=PaymentCasesState.load),
    ]


def _does() -> rx.Component:
    """What accepting it does, with the amount."""
    told = {"amount": _ROW["moves"].to(str), "number": _ROW["number"].to(str)}
    sentences = [(one.value, rx.el.p(t(f"cases.act.{one.value}", **told))) for one in CaseAct]
    return rx.fragment(rx.match(_ROW["act"], *sentences, rx.fragment()))


def _accept() -> rx.Component:
    """Asks first. Of a refund that failed it asks where it goes now, too."""
    ask = action_button(t("cases.accept"), on_press=_S.ask("accept"), look="primary", icon="check")
    where = radios(
        "to",
        t("cases.to"),
        [Option(one.value, t(f"cases.to.{one.value}", amount=_ROW["moves"].to(str))) for one in RefundTo],
        value=RefundTo.SOURCE.value,
    )
    verbs = [(one.value, t(f"cases.verb.{one.value}", amount=_ROW["moves"].to(str))) for one in CaseAct]
    asked = dialog(
        rest_form(
            "accept-case",
            _does(),
            rx.cond(_ROW["act"] == CaseAct.REFUND_AGAIN.value, where, rx.fragment()),
            dialog_foot(dialog_close(), submit_button(rx.match(_ROW["act"], *verbs, t("cases.accept")))),
            url=f"{endpoints.STAFF_CASES}/{_ROW['id'].to(str)}/accept",
            extra={"version": _ROW["version"].to(int)},
            done_text=t("cases.accepted"),
            on_done=_S.changed,
        ),
        title=t("cases.accept_title"),
        description=t("cases.accept_text"),
        open=_S.asking == "accept",
        on_open_change=_S.leave,
    )
    return rx.cond(_ROW["act"] != "", rx.fragment(ask, asked), rx.fragment())


def _dismiss() -> rx.Component:
    ask = action_button(t("cases.dismiss"), on_press=_S.ask("dismiss"), icon="ban")
    asked = dialog(
        rest_form(
            "dismiss-case",
            text_area(
                "note", t("cases.note"), hint=t("cases.note_hint"), rows=3, max_length=NOTE_CHARACTERS_MAX
            ),
            dialog_foot(dialog_close(), submit_button(t("cases.dismiss_verb"))),
            url=f"{endpoints.STAFF_CASES}/{_ROW['id'].to(str)}/dismiss",
            extra={"version": _ROW["version"].to(int)},
            done_text=t("cases.dismissed"),
            on_done=_S.changed,
        ),
        title=t("cases.dismiss_title"),
        description=t("cases.dismiss_text"),
        open=_S.asking == "dismiss",
        on_open_change=_S.leave,
    )
    return rx.fragment(ask, asked)


def _proposal() -> rx.Component:
    nothing = empty_state(t("cases.nothing"), t("cases.nothing_text"), icon_name="info", level=3)
    entries = rx.cond(_S.entries.length() > 0, data_table(ENTRIES, _S.entries), rx.fragment())
    return section(t("cases.proposal"), rx.cond(_ROW["act"] != "", rx.fragment(_does(), entries), nothing))


@page(
    "/governance/cases/[case_id]",
    console=Console.GOVERNANCE,
    title="cases.case",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=PaymentCaseState.load,
)
def payment_case() -> Drawn:
    """One case, what accepting it does, and the two ways to close it."""
    closed = rx.fragment(
        fact(t("cases.resolved_at"), when(_ROW["resolved_at"], zone=SessionState.zone)),
        rx.cond(_ROW["note"], fact(t("cases.note"), _ROW["note"].to(str)), rx.fragment()),
        rx.cond(
            _ROW["journal_href"],
            fact(
                t("cases.journal"),
                rx.fragment(link(t("cases.journal_link"), href=_ROW["journal_href"].to(str))),
            ),
            rx.fragment(),
        ),
    )
    known = card(
        facts(
            (t("cases.state"), rx.fragment(status_badge(_ROW["state"], STATES))),
            (t("cases.kind"), _kind(_ROW)),
            (t("cases.cause"), _cause(_ROW)),
            (t("cases.amount"), money(_ROW["amount"], _ROW["currency"].to(str))),
            (t("cases.detail"), _ROW["detail"].to(str)),
            (t("cases.subject"), rx.fragment(rx.el.code(_ROW["subject"].to(str)))),
            rx.cond(
                _ROW["about_href"],
                fact(
                    t("cases.about"),
                    rx.fragment(link(t("cases.about_link"), href=_ROW["about_href"].to(str))),
                ),
                rx.fragment(),
            ),
            rx.cond(
                _ROW["organization"],
                fact(t("cases.organization"), _ROW["organization"].to(str)),
                rx.fragment(),
            ),
            (t("cases.created_at"), when(_ROW["created_at"], zone=SessionState.zone)),
            rx.cond(_ROW["resolved_at"], closed, rx.fragment()),
        )
    )
    acts = rx.cond(MAY_WRITE & (_ROW["state"] == "open"), rx.fragment(_accept(), _dismiss()), rx.fragment())
    return [
        rx.el.p(link(t("cases.back"), href="/governance/cases"), class_name="back-link"),
        page_header(t("cases.case"), acts),
        in_its_state(
            _S,
            rx.fragment(known, _proposal()),
            loading=skeleton(lines=8, label=t("cases.loading")),
            retry=_S.load,
        ),
    ]
