"""Accounts with payment providers: through whom money is taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.figures import copy_field
from components.feedback.states import empty_state
from components.forms.fields import checkbox, password_field, text_area, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, dialog, dialog_close, dialog_foot, menu
from components.links import outside_link
from components.shell.page import page_header
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import catalogue, t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.payments import queries
from services.payments.accounts import NAME_CHARACTERS_MAX
from services.payments.providers import registry
from state.governance.provider_accounts import ADD, EDIT, ProviderAccountsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
STATUSES = {
    "enabled": Status("provider_accounts.enabled", "ok"),
    "read": Status("provider_accounts.read", "ok"),
    "disabled": Status("provider_accounts.disabled", "neutral", "ban"),
}
MONEY = {
    "real": Status("provider_accounts.real", "info"),
    "test": Status("provider_accounts.test", "warn"),
}
LONG = frozenset({"trusted"})  # settings of several lines


def _control(row: Row) -> rx.Component:
    """Where somebody plays bank and bad weather, of a test provider."""
    return rx.cond(
        row["control"],
        outside_link(t("provider_accounts.control"), href=row["control"].to(str)),
        rx.fragment("–"),
    )


ACCOUNTS = table_of(
    queries.ACCOUNTS,
    "provider-accounts",
    Column("name", "provider_accounts.name", row_header=True),
    Column("provider", "provider_accounts.provider", kind="code"),
    Column("money", "provider_accounts.money", kind="badge", statuses=MONEY),
    Column("status", "provider_accounts.status", kind="badge", statuses=STATUSES),
    Column("control", "provider_accounts.control_of", draw=_control),
    Column("created_at", "provider_accounts.created_at", kind="date"),
    texts="provider_accounts",
)


def _word(name: str) -> Any:
    """What a setting is called; its own name where nobody has found a better one."""
    key = f"provider_accounts.field.{name}"
    return t(key) if key in catalogue() else name


def _fields(kind: registry.Kind, given: Row | None) -> Iterator[rx.Component]:
    """All that the provider's file says there is. A secret that is there is never shown, and stays if left empty."""
    said = given["settings"].to(dict[str, str]) if given is not None else None
    yield text_field(
        "name",
        t("provider_accounts.name"),
        value=given["name"] if given is not None else "",
        max_length=NAME_CHARACTERS_MAX,
        autocomplete="off",
    )
    for name in sorted(kind.settings):
        draw = text_area if name in LONG else text_field
        more: dict[str, Any] = {"rows": 4} if name in LONG else {"autocomplete": "off"}
        value = rx.cond(said.contains(name), said[name], "") if said is not None else ""
        optional = name in kind.optional
        yield draw(f"settings.{name}", _word(name), value=value, required=not optional, **more)
    for name in sorted(kind.secrets):
        hint = t("provider_accounts.secret_hint") if given is not None else None
        yield password_field(
            f"secrets.{name}", label=_word(name), new=True, required=given is None, hint=hint
        )


def _form(provider: str, kind: registry.Kind, given: Row | None) -> rx.Component:
    named = provider.capitalize() if f"provider_accounts.of.{provider}" not in catalogue() else ""
    name = named or t(f"provider_accounts.of.{provider}")
    url = endpoints.STAFF_PROVIDER_ACCOUNTS
    if given is None:
        form = rest_form(
            f"add-{provider}",
            *_fields(kind, None),
            checkbox("is_test", t("provider_accounts.is_test")),
            dialog_foot(dialog_close(), submit_button(t("provider_accounts.add"))),
            url=url,
            extra={"provider": provider},
            done_text=t("provider_accounts.added"),
            on_done=ProviderAccountsState.changed,
        )
        title, opened = t("provider_accounts.add_of", provider=name), f"{ADD}{provider}"
    else:
        used = "is_read" if kind.capabilities.is_our_bank else "is_enabled"
        form = rest_form(
            f"edit-{provider}",
            *_fields(kind, given),
            checkbox("enabled", t(f"provider_accounts.{used}"), value=given["enabled"]),
            dialog_foot(dialog_close(), submit_button(t("provider_accounts.save"))),
            url=f"{url}/{given['id'].to(str)}",
            method="PUT",
            extra=ProviderAccountsState.kept,  # pyright: ignore[reportArgumentType]
            version=given["version"].to(int),
            on_take_theirs=ProviderAccountsState.changed,
            done_text=t("provider_accounts.saved"),
            on_done=ProviderAccountsState.changed,
        )
        title, opened = t("provider_accounts.edit_of", name=given["name"].to(str)), f"{EDIT}{provider}"
    return dialog(
        form,
        title=title,
        open=ProviderAccountsState.open_dialog == opened,
        on_open_change=ProviderAccountsState.dismiss,
    )


def _dialogs() -> Iterator[rx.Component]:
    chosen = ProviderAccountsState.chosen
    for provider, kind in registry.KINDS.items():
        yield _form(provider, kind, None)
        yield _form(provider, kind, chosen)
    name = chosen["name"].to(str)
    yield dialog(
        copy_field(
            "webhook-address",
            t("provider_accounts.address"),
            chosen["address"].to(str),
            hint=t("provider_accounts.address_hint"),
        ),
        dialog_foot(dialog_close(t("provider_accounts.close"))),
        title=t("provider_accounts.address_of", name=name),
        open=ProviderAccountsState.open_dialog == "address",
        on_open_change=ProviderAccountsState.dismiss,
    )
    yield dialog(
        rest_form(
            "check-provider-account",
            dialog_foot(dialog_close(), submit_button(t("provider_accounts.check"))),
            url=f"{endpoints.STAFF_PROVIDER_ACCOUNTS}/{chosen['id'].to(str)}/check",
            on_done=ProviderAccountsState.checked,
        ),
        title=t("provider_accounts.check_of", name=name),
        description=t("provider_accounts.check_text"),
        open=ProviderAccountsState.open_dialog == "check",
        on_open_change=ProviderAccountsState.dismiss,
        size="small",
    )


def _actions(row: Row) -> rx.Component:
    def acts(*entries: MenuEntry) -> rx.Component:
        label = t("table.actions_of", row=row["name"].to(str))
        return menu(
            label, list(entries), on_action=lambda act: ProviderAccountsState.choose(row["id"].to(str), act)
        )

    address = MenuEntry("address", t("provider_accounts.address"), "copy")
    edit = MenuEntry("edit", t("provider_accounts.edit"), "pencil")
    check = MenuEntry("check", t("provider_accounts.check"), "activity")
    return rx.cond(MAY_WRITE, acts(edit, check, address), acts(address))


def _add() -> rx.Component:
    entries = [
        asdict(MenuEntry(provider, provider.capitalize(), "plus"))
        | {"label": t(f"provider_accounts.of.{provider}")}
        if f"provider_accounts.of.{provider}" in catalogue()
        else asdict(MenuEntry(provider, provider.capitalize(), "plus"))
        for provider in registry.KINDS
    ]
    offered = menu(
        t("provider_accounts.add"),
        entries,
        on_action=ProviderAccountsState.add,
        icon="plus",
        look="primary",
        show_label=True,
    )
    return rx.cond(MAY_WRITE, offered, rx.fragment())


@page(
    "/governance/provider-accounts",
    console=Console.GOVERNANCE,
    title="provider_accounts.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=ProviderAccountsState.load,
)
def provider_accounts() -> Drawn:
    """All accounts, the newest first."""
    listed = lists.listing(
        ProviderAccountsState,
        ACCOUNTS,
        empty=empty_state(
            t("provider_accounts.none"), t("provider_accounts.none_text"), icon_name="handshake"
        ),
        actions=_actions,
    )
    return [
        page_header(t("provider_accounts.title"), _add(), text=t("provider_accounts.text")),
        in_its_state(ProviderAccountsState, listed, retry=ProviderAccountsState.load),
        *_dialogs(),
    ]
