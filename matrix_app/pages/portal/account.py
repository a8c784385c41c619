"""One's own account: profile, password, two-step verification, sessions, and the history of signing in."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, badge
from components.feedback.states import empty_state, skeleton
from components.format.values import when
from components.forms.fields import password_field, text_field
from components.forms.form import form_foot, rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot, icon_button
from components.links import button_link, link
from components.shell.page import card, page_header, section
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import plural, t
from components.two_step import enrol_dialog, recovery_codes_dialog
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.identity import sign_ins
from state.own_account import OwnAccountState as State
from state.own_account import SignInsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]

HISTORY = "/account/sign-ins"

OUTCOMES = {
    "signed_in": Status("own.outcome.signed_in", "ok"),
    "recovery_code": Status("own.outcome.recovery_code", "warn"),
    "password_only": Status("own.outcome.password_only", "warn"),
    "wrong_password": Status("own.outcome.wrong_password", "danger"),
    "wrong_code": Status("own.outcome.wrong_code", "danger"),
}


def _device(row: Row) -> rx.Component:
    return rx.fragment(rx.cond(row["device"], row["device"].to(str), t("own.device_unknown")))


def _session_name(row: Row) -> rx.Component:
    marks = [
        rx.cond(row["current"], badge(t("own.this_one"), "info"), rx.fragment()),
        rx.cond(row["second_factor"], badge(t("own.by_code"), "ok"), rx.fragment()),
    ]
    return rx.el.span(_device(row), *marks, class_name="row")


SESSIONS = Table(
    "own-sessions",
    "own.sessions",
    columns=(
        Column("device", "own.device", row_header=True, draw=_session_name),
        Column("address", "own.address", kind="code"),
        Column("created_at", "own.signed_in_at", kind="ago"),
        Column("last_seen_at", "own.last_seen", kind="ago"),
    ),
)
SIGN_INS = table_of(
    sign_ins.SIGN_INS,
    "own-sign-ins",
    Column("at", "own.when", kind="datetime", row_header=True),
    Column("outcome", "own.outcome", kind="badge", statuses=OUTCOMES),
    Column("device", "own.device", draw=_device),
    Column("address", "own.address", kind="code"),
    texts="own",
    caption="own.sign_ins",
)


def _profile() -> rx.Component:
    return card(
        rx.el.p(t("own.email", email=State.email), class_name="muted"),
        rest_form(
            "own-name",
            text_field(
                "name", t("own.name"), hint=t("own.name_hint"), value=State.name, autocomplete="name",
                max_length=100,
            ),
            form_foot(submit_button(t("own.save"), look="")),
            url=endpoints.ACCOUNT,
            method="PATCH",
            done_text=t("own.saved"),
            on_done=State.changed,
        ),
        title=t("own.profile"),
    )  # fmt: skip


def _password() -> rx.Component:
    changed = rx.el.p(
        t("own.password_changed"), " ", when(State.password_changed_at, "ago"), class_name="small muted"
    )
    return card(
        rx.el.p(t("own.password_text"), class_name="muted"),
        rx.cond(State.password_changed_at != "", changed, rx.fragment()),
        # Leaves by a full navigation: the session goes on under another cookie.
        rest_form(
            "own-password",
            password_field(
                label=t("own.password_new"),
                new=True,
                min_length=10,
                hint=t("own.password_hint"),
                strength=True,
            ),
            form_foot(submit_button(t("own.password_submit"), look="")),
            url=endpoints.OWN_PASSWORD,
            method="PUT",
            destination="/account",
        ),
        title=t("own.password"),
    )


def _disable_dialog() -> rx.Component:
    return dialog(
        rx.el.p(t("own.disable_text")),
        rest_form(
            "disable-two-step",
            dialog_foot(dialog_close(), submit_button(t("own.disable"), look="primary danger")),
            url=endpoints.AUTHENTICATOR,
            method="DELETE",
            done_text=t("own.disabled"),
            on_done=State.changed,
        ),
        title=t("own.disable_title"),
        trigger=Trigger(t("own.disable"), "danger"),
        size="small",
    )


def _two_step() -> rx.Component:
    on = rx.fragment(
        rx.el.p(t("own.two_step_on")),
        rx.el.p(
            t("own.two_step_since"), " ", when(State.two_step_at, "date", zone=SessionState.zone), " \u00b7 ",
            plural("own.two_step_codes", State.recovery_codes),
            class_name="small muted",
        ),
        rx.cond(State.few_codes, rx.el.p(badge(t("own.two_step_few"), "warn")), rx.fragment()),
        rx.el.div(
            recovery_codes_dialog(t("own.renew_codes"), url=endpoints.RECOVERY_CODES, on_done=State.changed),
            _disable_dialog(),
            class_name="row",
        ),
    )  # fmt: skip
    off = rx.fragment(
        rx.el.p(t("own.two_step_off")),
        rx.el.div(
            enrol_dialog(
                t("own.enrol"),
                url=endpoints.AUTHENTICATOR,
                confirm_url=endpoints.CONFIRM_AUTHENTICATOR,
                on_done=State.changed,
            ),
            class_name="row",
        ),
    )
    return card(rx.cond(State.two_step_at != "", on, off), title=t("own.two_step"))


def _end(row: Row) -> rx.Component:
    named = rx.cond(row["device"], row["device"].to(str), row["address"].to(str))
    button = icon_button(t("own.end_of", row=named), "log-out", on_press=State.end(row["id"].to(str)))
    return rx.cond(row["current"], rx.fragment(), button)


def _sessions() -> rx.Component:
    end_others = dialog(
        rx.el.p(t("own.end_others_text")),
        rest_form(
            "end-others",
            dialog_foot(dialog_close(), submit_button(t("own.end_others"), look="primary danger")),
            url=endpoints.END_OTHER_SESSIONS,
            done_text=t("own.others_ended"),
            on_done=State.changed,
        ),
        title=t("own.end_others_title"),
        trigger=Trigger(t("own.end_others"), "", "log-out"),
        size="small",
    )
    return section(
        t("own.sessions"),
        rx.el.p(t("own.sessions_text"), class_name="muted"),
        data_table(SESSIONS, State.sessions, actions=_end, zone=SessionState.zone),
        actions=[rx.cond(State.sessions.length() > 1, end_others, rx.fragment())],
    )


def _no_sign_ins() -> rx.Component:
    return empty_state(t("own.none"), t("own.sign_ins_none"), icon_name="clock")


def _sign_ins() -> rx.Component:
    return section(
        t("own.sign_ins"),
        rx.el.p(t("own.sign_ins_text"), class_name="muted"),
        data_table(SIGN_INS, State.sign_ins, empty=_no_sign_ins(), zone=SessionState.zone),
        actions=[button_link(t("own.all_sign_ins"), href=HISTORY)],
    )


@page("/account", console=Console.ACCOUNT, title="own.title", on_load=State.load)
def account() -> Drawn:
    """For everybody who is signed in; from the menu of the account."""
    content = rx.fragment(
        rx.el.div(_profile(), _password(), _two_step(), class_name="grid-thirds"), _sessions(), _sign_ins()
    )
    return [
        page_header(t("own.title"), text=t("own.text")),
        in_its_state(State, content, loading=skeleton(lines=8, label=t("own.loading")), retry=State.load),
    ]


@page(HISTORY, console=Console.ACCOUNT, title="own.sign_ins", on_load=SignInsState.load)
def sign_in_history() -> Drawn:
    """All attempts to sign in to one's own account."""
    outcomes = [(name, t(status.text)) for name, status in OUTCOMES.items()]
    listed = lists.listing(
        SignInsState,
        SIGN_INS,
        [
            Filter("outcome", "own.outcome", options=outcomes),
            *days("at"),
        ],
        empty=_no_sign_ins(),
        values={f"outcome:{name}": words for name, words in outcomes},
    )
    return [
        rx.el.p(link(t("own.back"), href="/account"), class_name="back-link"),
        page_header(t("own.sign_ins"), lists.export(SignInsState), text=t("own.sign_ins_text")),
        in_its_state(SignInsState, listed, retry=SignInsState.load),
    ]
