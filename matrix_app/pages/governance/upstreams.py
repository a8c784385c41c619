"""Where models run, and which of them clients see."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.forms.fields import (
    Option,
    checkboxes,
    number_field,
    password_field,
    radios,
    select,
    text_area,
    text_field,
)
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, Trigger, dialog, dialog_close, dialog_foot, menu
from components.shell.page import page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.gateway import queries as gateway
from state.governance.upstreams import UpstreamsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]

STATUSES = {
    "enabled": Status("upstreams.enabled", "ok"),
    "disabled": Status("upstreams.disabled", "neutral", "ban"),
}
KEYS = {
    "set": Status("upstreams.key.set", "ok", "lock"),
    "none": Status("upstreams.key.none", "neutral"),
    "builtin": Status("upstreams.key.builtin", "neutral"),
}
ENDPOINTS = ("chat", "completions", "embeddings")


def _address(row: Row) -> rx.Component:
    return rx.cond(row["kind"] == "builtin", t("upstreams.builtin"), rx.el.code(row["base_url"].to(str)))


UPSTREAMS = table_of(
    gateway.UPSTREAMS,
    "upstreams",
    Column("name", "upstreams.name", row_header=True),
    Column("base_url", "upstreams.url", draw=_address),
    Column("key", "upstreams.key", kind="badge", statuses=KEYS),
    "models",
    Column("status", "upstreams.status", kind="badge", statuses=STATUSES),
    texts="upstreams",
    caption="upstreams.list",
)
MODELS = Table(
    "models",
    "staff_models.title",
    columns=(
        Column("name", "staff_models.name", row_header=True),
        Column("slug", "staff_models.slug", kind="code"),
        Column("upstream_name", "staff_models.upstream"),
        Column("upstream_model", "staff_models.upstream_model", kind="code"),
        Column("context_tokens", "staff_models.context", kind="tokens", unit="staff_models.tokens"),
        Column(
            "endpoints",
            "staff_models.endpoints",
            draw=lambda row: rx.fragment(row["endpoints"].to(list[str]).join(", ")),
        ),
        Column("status", "upstreams.status", kind="badge", statuses=STATUSES),
    ),
)


def _form_dialog(
    name: str,
    *fields: rx.Component,
    title: str | rx.Var[str],
    verb: str,
    done: str,
    url: str | rx.Var[str],
    creates: bool = False,
    edits: bool = False,
    extra: Any = None,
    trigger: Trigger | None = None,
    danger: rx.Var[bool] | bool = False,
    text: str | rx.Var[str] | None = None,
) -> rx.Component:
    """One change through the API, in a dialog that closes when it is done. One that `edits` shows both values where
    somebody else was faster."""
    return dialog(
        rest_form(
            name,
            *fields,
            dialog_foot(dialog_close(), submit_button(verb)),
            url=url,
            method="POST" if creates else "PUT",
            extra=extra,
            version=UpstreamsState.chosen["version"].to(int) if edits else None,
            on_take_theirs=UpstreamsState.changed if edits else None,
            done_text=done,
            on_done=UpstreamsState.changed,
        ),
        title=title,
        description=text,
        trigger=trigger,
        open=UpstreamsState.open_dialog == name,
        on_open_change=UpstreamsState.turn(name),
    )


def _upstream_fields(given: Row | None) -> list[rx.Component]:
    def of(name: str, otherwise: Any) -> Any:
        return given[name] if given is not None else otherwise

    hangup = [
        Option(act, t(f"upstreams.on_hangup.{act}"), t(f"upstreams.on_hangup.{act}_text"))
        for act in ("drain", "cancel")
    ]
    timeouts = rx.el.div(
        number_field(
            "connect_timeout_s",
            t("upstreams.connect_timeout"),
            value=of("connect_timeout_s", 5),
            min=1,
            max=60,
            step=1,
            suffix=t("upstreams.seconds"),
        ),
        number_field(
            "read_timeout_s",
            t("upstreams.read_timeout"),
            value=of("read_timeout_s", 120),
            min=1,
            max=600,
            step=1,
            suffix=t("upstreams.seconds"),
        ),
        class_name="field-pair",
    )
    where = [
        text_field("name", t("upstreams.name"), value=of("name", ""), max_length=120, autocomplete="off"),
        text_field(
            "base_url", t("upstreams.url"), kind="url", hint=t("upstreams.url_hint"), value=of("base_url", "")
        ),
    ]
    return [
        *where,
        timeouts,
        radios("on_hangup", t("upstreams.on_hangup"), hangup, value=of("on_hangup", "drain")),
    ]


def _api_key(*, required: bool = False) -> rx.Component:
    return password_field(
        "api_key", t("upstreams.api_key"), new=True, required=required, hint=t("upstreams.api_key_hint")
    )


def _model_fields(given: Row | None) -> list[rx.Component]:
    def of(name: str, otherwise: Any) -> Any:
        return given[name] if given is not None else otherwise

    slug = text_field(
        "slug", t("staff_models.slug"), hint=t("staff_models.slug_hint"), max_length=100, autocomplete="off"
    )
    named = [] if given is not None else [slug]
    return [
        *named,
        text_field("name", t("staff_models.name"), value=of("name", ""), max_length=120, autocomplete="off"),
        select(
            "upstream_id", t("staff_models.upstream"), UpstreamsState.servers, value=of("upstream_id", "")
        ),
        text_field(
            "upstream_model",
            t("staff_models.upstream_model"),
            value=of("upstream_model", ""),
            autocomplete="off",
        ),
        number_field(
            "context_tokens",
            t("staff_models.context"),
            value=of("context_tokens", 8192),
            min=1,
            step=1,
            suffix=t("staff_models.tokens"),
        ),
        checkboxes(
            "endpoints",
            t("staff_models.endpoints"),
            [Option(name, name) for name in ENDPOINTS],
            value=of("endpoints", ["chat", "completions"]),
        ),
        text_area(
            "description",
            t("staff_models.description"),
            value=of("description", ""),
            required=False,
            rows=3,
            max_length=2000,
        ),
    ]


def _toggle_dialog(name: str, url: rx.Var[str], texts: str) -> rx.Component:
    enabled = UpstreamsState.chosen["enabled"].to(bool)
    verb = rx.cond(enabled, t("upstreams.disable"), t("upstreams.enable"))
    return _form_dialog(
        name,
        title=t("upstreams.toggle_title", name=UpstreamsState.chosen["name"].to(str)),
        text=rx.cond(enabled, t(f"{texts}.disable_text"), t(f"{texts}.enable_text")),
        verb=verb,
        done=t("upstreams.toggled"),
        url=url,
        extra=UpstreamsState.sent,
    )


def _dialogs() -> rx.Component:
    chosen = UpstreamsState.chosen
    upstream = f"{endpoints.STAFF_UPSTREAMS}/{chosen['id'].to(str)}"
    model = f"{endpoints.STAFF_MODELS}/{chosen['id'].to(str)}"
    name = chosen["name"].to(str)
    kept = UpstreamsState.kept
    return rx.fragment(
        _form_dialog(
            "edit",
            *_upstream_fields(chosen),
            title=t("upstreams.edit_title", name=name),
            verb=t("upstreams.save"),
            done=t("upstreams.saved"),
            url=upstream,
            edits=True,
            extra=kept,
        ),
        _form_dialog(
            "key",
            _api_key(),
            title=t("upstreams.key_title", name=name),
            text=t("upstreams.key_text"),
            verb=t("upstreams.set_key"),
            done=t("upstreams.key_saved"),
            url=upstream,
            extra=UpstreamsState.sent,
        ),
        _toggle_dialog("toggle", upstream, "upstreams"),
        _form_dialog(
            "model-edit",
            *_model_fields(chosen),
            title=t("upstreams.edit_title", name=name),
            verb=t("upstreams.save"),
            done=t("upstreams.saved"),
            url=model,
            edits=True,
            extra=kept,
        ),
        _toggle_dialog("model-toggle", model, "staff_models"),
    )


def _may_write(shown: rx.Component) -> rx.Component:
    may = SessionState.capabilities.contains(Capability.STAFF_UPSTREAMS_WRITE.value)
    return rx.cond(may, shown, rx.fragment())


def _entries(row: Row, *own: MenuEntry) -> rx.Var[list[dict[str, Any]]]:
    """What can be done with a row: its own acts, and switching it off or on."""
    is_on = row["enabled"].to(bool)
    toggle = asdict(MenuEntry("toggle", "")) | {
        "label": rx.cond(is_on, t("upstreams.disable"), t("upstreams.enable")),
        "icon": rx.cond(is_on, "ban", "circle-check"),
    }
    return rx.Var.create([*(asdict(entry) for entry in own), toggle]).to(list[dict[str, Any]])


def _upstream_actions(row: Row) -> rx.Component:
    own = [
        MenuEntry("edit", t("upstreams.edit"), "pencil"),
        MenuEntry("key", t("upstreams.set_key"), "key-round"),
    ]
    entries = rx.cond(row["kind"] == "builtin", _entries(row), _entries(row, *own))
    label = t("table.actions_of", row=row["name"].to(str))
    return _may_write(
        menu(
            label,
            entries.to(list[dict[str, Any]]),
            on_action=lambda act: UpstreamsState.ask_upstream(row["id"].to(str), act),
        )
    )


def _model_actions(row: Row) -> rx.Component:
    entries = _entries(row, MenuEntry("edit", t("upstreams.edit"), "pencil"))
    label = t("table.actions_of", row=row["name"].to(str))
    return _may_write(
        menu(label, entries, on_action=lambda act: UpstreamsState.ask_model(row["id"].to(str), act))
    )


def _add_upstream() -> rx.Component:
    return _form_dialog(
        "add",
        *_upstream_fields(None),
        _api_key(),
        title=t("upstreams.add"),
        verb=t("upstreams.add"),
        done=t("upstreams.added"),
        url=endpoints.STAFF_UPSTREAMS,
        creates=True,
        trigger=Trigger(t("upstreams.add"), "primary", "plus"),
    )


def _add_model() -> rx.Component:
    return _form_dialog(
        "model-add",
        *_model_fields(None),
        title=t("staff_models.add"),
        verb=t("staff_models.add"),
        done=t("staff_models.added"),
        url=endpoints.STAFF_MODELS,
        creates=True,
        trigger=Trigger(t("staff_models.add"), "", "plus"),
    )


@page(
    "/governance/upstreams",
    console=Console.GOVERNANCE,
    title="upstreams.title",
    needs=Capability.STAFF_UPSTREAMS_READ,
    on_load=UpstreamsState.load,
)
def upstreams() -> Drawn:
    """Servers, and the models they serve."""
    on_or_off = [("true", t("upstreams.enabled")), ("false", t("upstreams.disabled"))]
    servers = lists.listing(
        UpstreamsState,
        UPSTREAMS,
        [
            Filter("name[contains]", "upstreams.name", "search"),
            Filter("enabled", "upstreams.status", options=on_or_off),
        ],
        empty=empty_state(t("upstreams.none"), t("upstreams.none_text"), icon_name="server", level=3),
        names={"enabled": t("upstreams.status")},
        values={f"enabled:{name}": words for name, words in on_or_off},
        actions=_upstream_actions,
    )
    models = data_table(
        MODELS,
        UpstreamsState.models,
        status=UpstreamsState.status,
        empty=empty_state(t("staff_models.none"), t("staff_models.none_text"), icon_name="boxes", level=3),
        actions=_model_actions,
    )
    content = rx.fragment(
        section(t("upstreams.list"), servers, actions=[lists.export(UpstreamsState)]),
        section(t("staff_models.title"), models, actions=[_may_write(_add_model())]),
        _dialogs(),
    )
    return [
        page_header(t("upstreams.title"), _may_write(_add_upstream()), text=t("upstreams.text")),
        in_its_state(UpstreamsState, content, retry=UpstreamsState.load),
    ]
