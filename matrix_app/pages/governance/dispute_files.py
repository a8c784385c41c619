"""The files that go along with the answer of a dispute, on its page."""

from __future__ import annotations

import reflex as rx

from components.forms.fields import select
from components.forms.files import file_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, dialog, dialog_close, dialog_foot, menu
from components.links import file_link
from components.props import Row
from components.shell.page import section
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import endpoints
from services.core.permissions import Capability
from state.governance.disputes import StaffDisputeState
from state.session import SessionState

_S = StaffDisputeState
_MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
FILES = Table(
    "dispute-files",
    "disputes.files",
    columns=(
        Column("name", "disputes.file", row_header=True, brief=True),
        Column("shows", "disputes.shows", brief=True),
        Column("kind", "disputes.kind"),
        Column("size", "disputes.size", kind="bytes"),
        Column("added_by", "disputes.added_by"),
        Column("created_at", "disputes.added_at", kind="datetime"),
    ),
)


def _file_acts(row: Row) -> rx.Component:
    entries = [MenuEntry("save", t("disputes.save"), "download")]
    remove = MenuEntry("remove", t("disputes.remove"), "x", danger=True)

    def offered(*shown: MenuEntry) -> rx.Component:
        return menu(
            t("table.actions_of", row=row["name"].to(str)),
            list(shown),
            on_action=lambda act: _S.do(row["id"].to(str), act),
        )

    both = rx.cond(_S.dispute["asks"].to(bool), offered(*entries, remove), offered(*entries))
    return rx.cond(_MAY_WRITE, both, rx.fragment())


def files() -> rx.Component:
    """What staff adds to what is recorded, until it is answered."""
    home = f"{endpoints.STAFF_DISPUTES}/{_S.dispute['id'].to(str)}"
    add = rx.fragment(
        select("about", t("disputes.shows"), _S.fields, value=_S.about, on_change=_S.say),
        file_field(
            "file",
            t("disputes.add_file"),
            url=f"{home}/files?about={_S.about}",
            accept=_S.kinds,
            bytes_max=_S.bytes_max,
            hint=t("disputes.add_file_hint"),
            required=False,
            on_uploaded=_S.changed,
        ),
    )
    pdf = file_link(t("disputes.pdf"), href=f"{home}/evidence/pdf", opens=True)
    return section(
        t("disputes.files"),
        rx.el.p(t("disputes.files_text"), class_name="muted"),
        data_table(
            FILES,
            _S.rows,
            status=_S.status,
            empty=rx.el.p(t("disputes.no_files"), class_name="muted"),
            actions=_file_acts,
            zone=SessionState.zone,
        ),
        rx.cond(_S.takes_files & _S.dispute["asks"].to(bool), add, rx.fragment()),
        actions=[rx.cond(_MAY_WRITE, pdf, rx.fragment())],
    )


def remove() -> rx.Component:
    home = f"{endpoints.STAFF_DISPUTES}/{_S.dispute['id'].to(str)}/files"
    return dialog(
        rest_form(
            "remove-dispute-file",
            dialog_foot(dialog_close(), submit_button(t("disputes.remove"), look="primary danger")),
            url=f"{home}/{_S.removing}",
            method="DELETE",
            done_text=t("disputes.removed"),
            on_done=_S.changed,
        ),
        title=t("disputes.remove"),
        description=t("disputes.remove_text"),
        open=_S.removing != "",
        on_open_change=_S.leave,
        size="small",
    )
