"""What floats, and tabs, for the gallery."""

from __future__ import annotations

import reflex as rx

from components.forms.fields import Option, select, text_field
from components.forms.form import form, submit_button
from components.kit.overlays import (
    Act,
    MenuEntry,
    Trigger,
    confirm_dialog,
    dialog,
    dialog_close,
    dialog_foot,
    menu,
)
from components.kit.tabs import LinkTab, Tab, link_tabs, tabs
from components.secret import secret_dialog
from components.texts import made_up as say
from components.two_step import enrol_dialog, recovery_codes_dialog


def dialog_example() -> rx.Component:
    return dialog(
        form(
            "new-key",
            text_field(
                "name",
                say("Name"),
                hint=say("What will use it, so that a stranger dares to revoke it"),
                max_length=80,
            ),
            select(
                "expiry",
                say("Expires"),
                [Option("90", say("In 90 days")), Option("365", say("In a year")), Option("", say("Never"))],
                value="90",
            ),
            dialog_foot(dialog_close(), submit_button(say("Create key"))),
            on_submit=rx.noop(),
        ),
        title=say("New API key"),
        trigger=Trigger(say("New key"), "primary", "plus"),
        description=say("A key speaks for the whole organisation. It is shown once."),
    )


def overlays_examples() -> rx.Component:
    return rx.el.div(
        confirm_dialog(
            title=say("Revoke \u201cProduction\u201d?"),
            text=say("Programs that use it stop at once. It was last used 2 minutes ago."),
            verb=say("Revoke key"),
            typed="Production",
            on_confirm=rx.toast.success(say("Key revoked")),
            trigger=Trigger(say("Revoke key"), "danger"),
        ),
        secret_dialog(
            "gallery-secret",
            text_field("name", say("Name"), max_length=80),
            title=say("New API key"),
            done_title=say("Your new key"),
            submit_label=say("Create key"),
            url="/api/v1/gallery",
            trigger=Trigger(say("Shown-once secret")),
            example="curl -H 'Authorization: Bearer {secret}' http://localhost:3000/v1/models",
            on_created=rx.noop(),
        ),
        confirm_dialog(
            title=say("Delete \u201cNight batch\u201d?"),
            text=say("It waits for the server before it closes."),
            verb=say("Delete"),
            on_confirm=rx.noop(),
            busy=False,
            error=say("Somebody else deleted it a minute ago."),
            trigger=Trigger(say("Delete and wait")),
        ),
        confirm_dialog(
            title=say("Archive \u201cNight batch\u201d?"),
            text=say("Its 3 keys stop at once and for good."),
            verb=say("Archive"),
            act=Act("gallery-archive", "/api/v1/gallery", say("Archived"), rx.noop()),
            trigger=Trigger(say("Archive by proof")),
        ),
        enrol_dialog(
            say("Set up an app"), url="/api/v1/gallery", confirm_url="/api/v1/gallery", on_done=rx.noop()
        ),
        recovery_codes_dialog(say("New recovery codes"), url="/api/v1/gallery", on_done=rx.noop()),
        dialog(
            rx.el.p(say("The import runs; this window closes by itself.")),
            dialog_foot(submit_button(say("Importing"), busy=rx.Var.create(True))),
            title=say("Import members"),
            busy=True,
            open=False,
        ),
        menu(
            say("Row actions"),
            [
                MenuEntry("open", say("Open"), "eye"),
                MenuEntry("copy", say("Copy id"), "copy"),
                MenuEntry("x", say("Delete"), "trash-2", danger=True),
            ],
            on_action=lambda chosen: rx.toast.info(chosen),
        ),
        class_name="row",
    )


def tabs_examples() -> rx.Component:
    panels = tabs(
        Tab("curl", "curl", rx.el.pre("curl ...")),
        Tab("python", "Python", rx.el.pre("client = OpenAI()")),
        Tab("javascript", "JavaScript", rx.el.pre("new OpenAI()")),
        label=say("Language"),
    )
    pages = link_tabs(
        LinkTab(say("Components"), "/developer/gallery"),
        LinkTab(say("Overview"), "/portal"),
        label=say("Pages"),
        current="/developer/gallery",
    )
    return rx.el.div(panels, pages, class_name="stack")
