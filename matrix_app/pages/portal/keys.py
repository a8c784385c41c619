"""API keys: who may call, with what, and when each was last used."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.format.values import when
from components.forms.fields import Option, checkboxes, number_field, select, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, Trigger, dialog, dialog_close, dialog_foot, menu
from components.secret import secret_dialog
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import SCOPE_CAPABILITIES, Capability
from services.identity import key_queries
from state.portal.keys import EXPIRIES_DAYS, KeysState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]

STATUSES = {
    "active": Status("keys.status.active", "ok"),
    "expiring": Status("keys.status.expiring", "warn", "clock"),
    "expired": Status("keys.status.expired", "neutral", "hourglass"),
    "revoked": Status("keys.status.revoked", "neutral", "ban"),
    "disabled": Status("robots.status.disabled", "warn", "ban"),
}


def _name(row: Row) -> rx.Component:
    """With the project and the service account it belongs to."""
    homes = [row["project_name"].to(str), row["service_account_name"].to(str)]
    between = rx.cond((homes[0] != "") & (homes[1] != ""), " \u00b7 ", "")
    return rx.fragment(row["name"].to(str), rx.el.div(homes[0], between, homes[1], class_name="small muted"))


def _limits(row: Row) -> rx.Component:
    def limit(name: str, words: str) -> rx.Component:
        # Words, which begin where others do: a number would stand at the right.
        shown = rx.el.div(rx.el.span(t(words, n=row[name]), class_name="num"))
        return rx.cond(row[name], shown, rx.fragment())

    none = ~row["requests_per_minute"].bool() & ~row["tokens_per_minute"].bool()
    some = rx.el.div(
        limit("requests_per_minute", "keys.limit.requests"), limit("tokens_per_minute", "keys.limit.tokens")
    )
    return rx.cond(none, t("keys.limit.none"), some)


def _models(row: Row) -> rx.Component:
    chosen = row["models"].to(list[str])
    return rx.cond(chosen.length() > 0, chosen.join(", "), t("keys.models.all"))


def _last_used(row: Row) -> rx.Component:
    return rx.cond(row["last_used_at"], when(row["last_used_at"], "ago"), t("keys.never_used"))


def _expires(row: Row) -> rx.Component:
    return rx.cond(
        row["expires_at"], when(row["expires_at"], "date", zone=SessionState.zone), t("keys.never")
    )


KEYS = table_of(
    key_queries.KEYS,
    "keys",
    Column("name", "keys.name", row_header=True, draw=_name),
    Column("prefix", "keys.prefix", kind="code"),
    Column("scopes", "keys.scopes", draw=lambda row: rx.fragment(row["scopes"].to(list[str]).join(", "))),
    Column("models", "keys.models", draw=_models),
    Column("limits", "keys.limits", draw=_limits),
    Column("status", "keys.status", kind="badge", statuses=STATUSES),
    Column("last_used_at", "keys.last_used", draw=_last_used),
    Column("expires_at", "keys.expires", draw=_expires),
    Column("created_at", "keys.created_at", kind="date"),
    texts="keys",
)
ALL = ",".join(sorted(STATUSES))  # as an address says it, beside the usual: those that work


def create_key_dialog(state: type[KeysState], *, on_created: Any, homes: bool = False) -> rx.Component:
    """Makes a key by REST and shows its secret once, with a call to paste.

    With `homes` it can be made in a project and for a service account, where there are some.
    """
    never = {"id": "", "label": t("keys.never")}
    expiries = [
        {"id": state.expiries[place], "label": t("keys.expiry", n=days)}
        for place, days in enumerate(EXPIRIES_DAYS)
    ]
    return secret_dialog(
        "new-key",
        text_field("name", t("keys.name"), hint=t("keys.name_hint"), max_length=100, autocomplete="off"),
        checkboxes(
            "scopes",
            t("keys.scopes"),
            [Option(scope, scope, t(f"keys.scope.{scope}")) for scope in SCOPE_CAPABILITIES],
            value=["inference"],
        ),
        *(_homes() if homes else ()),
        checkboxes("models", t("keys.models"), state.models, hint=t("keys.models_hint")),
        rx.el.div(
            number_field("requests_per_minute", t("keys.requests_per_minute"), required=False, min=1, step=1),
            number_field("tokens_per_minute", t("keys.tokens_per_minute"), required=False, min=1, step=1),
            class_name="field-pair",
        ),
        select("expires_at", t("keys.expires"), rx.Var.create([never, *expiries]), required=False),
        title=t("keys.create"),
        done_title=t("keys.created"),
        submit_label=t("keys.create"),
        url=endpoints.KEYS,
        trigger=Trigger(t("keys.create"), "primary", "plus"),
        example=state.example,
        on_created=on_created,
    )


def _homes() -> tuple[rx.Component, rx.Component]:
    def choice(name: str, label: str, none: str, offered: Any) -> rx.Component:
        nobody = rx.Var.create([{"id": "", "label": t(none)}]).to(list[dict[str, str]])
        options = (nobody + offered).to(list[dict[str, str]])
        chosen = select(name, t(label), options, required=False)
        return rx.cond(offered.length() > 0, chosen, rx.fragment())

    return (
        choice("project_id", "projects.one", "projects.none_chosen", KeysState.projects),
        choice("service_account_id", "robots.one", "robots.none_chosen", KeysState.service_accounts),
    )


def _rotate_dialog() -> rx.Component:
    return secret_dialog(
        "rotate-key",
        number_field(
            "overlap_hours", t("keys.overlap"), value=24, min=0, max=168, step=1, suffix=t("keys.hours"),
            hint=t("keys.overlap_hint"),
        ),
        title=t("keys.rotate_title", name=KeysState.chosen["name"].to(str)),
        done_title=t("keys.rotated"),
        submit_label=t("keys.rotate"),
        url=f"{endpoints.KEYS}/{KeysState.chosen['id'].to(str)}/rotate",
        open=KeysState.open_dialog == "rotate",
        on_open_change=KeysState.dismiss,
        description=t("keys.rotate_text"),
        example=KeysState.example,
        on_created=KeysState.changed,
    )  # fmt: skip


def _revoke_dialog() -> rx.Component:
    chosen = KeysState.chosen
    used = rx.cond(
        chosen["last_used_at"],
        rx.fragment(t("keys.revoke_used"), " ", when(chosen["last_used_at"], "ago"), "."),
        t("keys.revoke_unused"),
    )
    return dialog(
        rx.el.p(t("keys.revoke_text", prefix=chosen["prefix"].to(str))),
        rx.el.p(used),
        rest_form(
            "revoke-key",
            dialog_foot(dialog_close(), submit_button(t("keys.revoke"), look="primary danger")),
            url=f"{endpoints.KEYS}/{chosen['id'].to(str)}",
            method="DELETE",
            done_text=t("keys.revoked"),
            on_done=KeysState.changed,
        ),
        title=t("keys.revoke_title", name=chosen["name"].to(str)),
        open=KeysState.open_dialog == "revoke",
        on_open_change=KeysState.dismiss,
        size="small",
    )


def _actions(row: Row) -> rx.Component:
    entries = [
        MenuEntry("rotate", t("keys.rotate"), "rotate-ccw"),
        MenuEntry("revoke", t("keys.revoke"), "ban", danger=True),
    ]
    shown = menu(
        t("table.actions_of", row=row["name"].to(str)),
        entries,
        on_action=lambda act: KeysState.ask(row["id"].to(str), act),
    )
    return rx.cond(
        row["ended"] | ~SessionState.capabilities.contains(Capability.KEYS_WRITE.value), rx.fragment(), shown
    )


@page(
    "/portal/keys",
    console=Console.PORTAL,
    title="keys.title",
    needs=Capability.KEYS_READ,
    on_load=KeysState.load,
)
def keys() -> Drawn:
    """The organisation's keys."""
    may_write = SessionState.capabilities.contains(Capability.KEYS_WRITE.value)
    create = rx.cond(
        may_write, create_key_dialog(KeysState, on_created=KeysState.changed, homes=True), rx.fragment()
    )
    statuses = [(name, t(status.text)) for name, status in STATUSES.items()]
    listed = lists.listing(
        KeysState,
        KEYS,
        [
            Filter("name[contains]", "keys.name", "search"),
            Filter(
                "status[in]",
                "keys.show",
                options=((ALL, t("keys.show.all")), *statuses),
                any_text="keys.show.usable",
            ),
            Filter("project_id", "projects.one", options=KeysState.projects, any_text="projects.any"),
        ],
        empty=empty_state(t("keys.none"), t("keys.none_text"), icon_name="key-round"),
        names={"project_id": t("projects.one")},
        values={f"status:{ALL}": t("keys.show.all"), **{f"status:{name}": words for name, words in statuses}},
        actions=_actions,
    )
    return [
        page_header(t("keys.title"), lists.export(KeysState), create, text=t("keys.text")),
        in_its_state(KeysState, listed, retry=KeysState.load),
        _rotate_dialog(),
        _revoke_dialog(),
    ]
