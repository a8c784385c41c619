"""Every field of a form in its states, for the gallery."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import copy_field
from components.forms.dates import date_range
from components.forms.fields import (
    Option,
    checkbox,
    checkboxes,
    combobox,
    email_field,
    money_field,
    number_field,
    password_field,
    radios,
    switch,
    text_area,
    text_field,
)
from components.forms.files import file_field
from components.forms.form import form, form_foot, submit_button
from components.forms.stepper import stepper
from components.texts import made_up as say


def form_examples() -> rx.Component:
    models = [
        Option("smollm2", "SmolLM2 135M", say("Built in")),
        Option("llama", "Llama 4 Scout", say("Upstream West")),
        Option("qwen", "Qwen 3 8B"),
    ]
    return rx.el.div(
        form(
            "gallery-form",
            text_field(
                "company", say("Organisation"), hint=say("As on its invoices"), autocomplete="organization"
            ),
            email_field(),
            password_field(new=True, hint=say("At least 12 characters"), min_length=12, strength=True),
            text_field("id", say("Organisation id"), required=False, read_only=True, value="org_acme"),
            combobox("model", say("Model"), models, hint=say("Type to find one")),
            combobox(
                "member",
                say("Member"),
                models[:1],
                hint=say("Looked up while you type"),
                required=False,
                search_url="/api/v1/gallery?q=",
            ),
            rx.el.div(
                number_field(
                    "limit", say("Requests a minute"), min=1, step=1, value=60, suffix=say("a minute")
                ),
                money_field("budget", say("Monthly budget"), currency="USD", required=False),
                class_name="form-row",
            ),
            checkboxes(
                "scopes",
                say("Scopes"),
                [Option("chat", say("Chat")), Option("embeddings", say("Embeddings"))],
                value=["chat"],
            ),
            radios(
                "plan",
                say("Plan"),
                [
                    Option("solo", say("Solo"), say("One member")),
                    Option("team", say("Team"), say("Up to 20 members")),
                ],
                value="solo",
            ),
            date_range(
                say("Billing period"),
                name="period",
                zone="Europe/Lisbon",
                start="2026-11-01",
                end="2026-11-26",
                last_day="2026-12-31",
            ),
            file_field(
                "contract",
                say("Contract"),
                accept=".pdf,image/*",
                bytes_max=5_000_000,
                many=True,
                required=False,
                url="/api/v1/gallery",
            ),
            text_area("note", say("Note"), required=False, rows=2),
            checkbox("terms", say("We accept the terms"), required=True),
            switch("alerts", say("Send alerts"), value=True),
            form_foot(submit_button(say("Save organisation"))),
            on_submit=rx.noop(),
            error=rx.Var.create(""),
        ),
        class_name="text-column",
    )


def stepper_example() -> rx.Component:
    return rx.el.div(
        stepper(
            "gallery-seats",
            say("Seats"),
            value="3",
            min="1",
            max="20",
            hint=say("1 to 20"),
            on_change=rx.noop,
        ),
        stepper(
            "gallery-full",
            say("Robots"),
            value="2",
            max="2",
            error=say("Two are the most."),
            on_change=rx.noop,
        ),
        class_name="text-column stack",
    )


def failed_form_example() -> rx.Component:
    """What somebody sees whose form was refused."""
    return rx.el.div(
        form(
            "gallery-failed",
            text_field("slug", say("Name in calls"), value="my model"),
            number_field("tokens", say("Context"), value=0, suffix=say("tokens")),
            form_foot(submit_button(say("Save model"))),
            on_submit=rx.noop(),
            guard=True,
            errors=rx.Var.create(
                {"slug": say("Letters, digits and dashes only"), "tokens": say("Context must be 1 or more")}
            ).to(dict[str, str]),
        ),
        class_name="text-column",
    )


def copy_example() -> rx.Component:
    return rx.el.div(
        copy_field(
            "gallery-url",
            say("Base URL"),
            "https://matrix.example/v1",
            hint=say("Where your client sends calls"),
        ),
        class_name="text-column",
    )
