"""Brands of legal entities: added, renamed, put aside, and which bills whom nobody gave another."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.forms.fields import select, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, Trigger, dialog, dialog_close, dialog_foot, menu
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.billing import brand_queries
from services.billing.brands import NAME_CHARACTERS_MAX
from services.billing.numbering import CODE_CHARS_MAX
from services.core.permissions import Capability
from state.governance.brands import BrandsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
_S = BrandsState
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_INVOICES_WRITE.value)
_USES = {
    "default": Status("brands.use_of.default", "ok"),
    "active": Status("brands.use_of.active", "neutral"),
    "archived": Status("brands.use_of.archived", "neutral", "ban"),
}

BRANDS = table_of(
    brand_queries.BRANDS,
    "brands",
    Column("code", "brands.code", row_header=True),
    Column("name", "brands.name"),
    Column("legal_entity", "brands.legal_entity", kind="link", href="href"),
    Column("use", "brands.use", kind="badge", statuses=_USES),
    Column("customers", "brands.customers", kind="number"),
    Column("created_at", "brands.created_at", kind="date"),
    texts="brands",
)


def _name(value: Any = "") -> rx.Component:
    return text_field(
        "name",
        t("brands.name"),
        hint=t("brands.name_hint"),
        value=value,
        max_length=NAME_CHARACTERS_MAX,
        autocomplete="off",
    )


def _add() -> rx.Component:
    add = dialog(
        rest_form(
            "new-brand",
            select("legal_entity_id", t("brands.legal_entity"), _S.entities),
            text_field(
                "code",
                t("brands.code"),
                hint=t("brands.code_hint"),
                max_length=CODE_CHARS_MAX,
                pattern=f"[A-Z0-9]{{1,{CODE_CHARS_MAX}}}",
                autocomplete="off",
            ),
            _name(),
            dialog_foot(dialog_close(), submit_button(t("brands.add"))),
            url=endpoints.STAFF_BRANDS,
            done_text=t("brands.added"),
            on_done=_S.changed,
        ),
        title=t("brands.add"),
        description=t("brands.add_text", field="{brand}"),
        trigger=Trigger(t("brands.add"), "primary", "plus"),
        open=_S.open_dialog == "new",
        on_open_change=lambda is_open: _S.show("new", is_open),
    )
    return rx.cond(MAY_WRITE & (_S.entities.length() > 0), add, rx.fragment())


def _dialogs() -> list[rx.Component]:
    chosen = _S.chosen
    name, url = chosen["name"].to(str), f"{endpoints.STAFF_BRANDS}/{chosen['id'].to(str)}"
    rename = dialog(
        rest_form(
            "rename-brand",
            _name(chosen["name"]),
            dialog_foot(dialog_close(), submit_button(t("brands.save"))),
            url=url,
            method="PATCH",
            version=chosen["version"].to(int),
            on_take_theirs=_S.changed,
            done_text=t("brands.saved"),
            on_done=_S.changed,
        ),
        title=t("brands.rename_title", name=name),
        open=_S.open_dialog == "rename",
        on_open_change=_S.dismiss,
    )
    acts = [
        _act("default", f"{url}/make-default", name),
        _act("archive", f"{url}/archive", name),
        _act("restore", f"{url}/restore", name),
    ]
    return [rename, *acts]


def _act(act: str, url: str, name: rx.Var[str]) -> rx.Component:
    """It can be taken back, so it is asked about once."""
    return dialog(
        rx.el.p(t(f"brands.{act}_text")),
        rest_form(
            f"{act}-brand",
            dialog_foot(dialog_close(), submit_button(t(f"brands.{act}"))),
            url=url,
            done_text=t(f"brands.{act}_done"),
            on_done=_S.changed,
        ),
        title=t(f"brands.{act}_title", name=name),
        open=_S.open_dialog == act,
        on_open_change=_S.dismiss,
        size="small",
    )


def _actions(row: Row) -> rx.Component:
    def acts(*more: MenuEntry) -> rx.Component:
        entries = [MenuEntry("rename", t("brands.rename"), "pencil"), *more]
        label = t("table.actions_of", row=row["name"].to(str))
        return menu(label, entries, on_action=lambda act: _S.ask(row["id"].to(str), act))

    shown = rx.match(
        row["use"],
        ("default", acts()),
        ("archived", acts(MenuEntry("restore", t("brands.restore"), "rotate-ccw"))),
        acts(
            MenuEntry("default", t("brands.default"), "check"),
            MenuEntry("archive", t("brands.archive"), "ban", danger=True),
        ),
    )
    return rx.cond(MAY_WRITE, shown, rx.fragment())


@page(
    "/governance/brands",
    console=Console.GOVERNANCE,
    title="brands.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=BrandsState.load,
)
def brands() -> Drawn:
    """All brands, by legal entity."""
    statuses = [(name, t(f"brands.use_of.{name}")) for name in ("active", "archived")]
    content = lists.listing(
        BrandsState,
        BRANDS,
        [
            Filter("legal_entity_id", "brands.legal_entity", options=BrandsState.entities),
            Filter("status", "brands.use", options=statuses),
        ],
        empty=empty_state(t("brands.none"), t("brands.none_text"), icon_name="building-2"),
        names={"legal_entity_id": t("brands.legal_entity")},
        values={f"status:{name}": words for name, words in statuses},
        actions=_actions,
    )
    return [
        page_header(t("brands.title"), lists.export(BrandsState), _add(), text=t("brands.text")),
        in_its_state(BrandsState, content, retry=BrandsState.load),
        *_dialogs(),
    ]
