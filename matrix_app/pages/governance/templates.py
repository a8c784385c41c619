"""How documents look, with a preview beside the form, and which documents have their files."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import banner, empty_state, skeleton
from components.forms.fields import Option, checkboxes, select, text_area, text_field
from components.forms.files import file_field
from components.forms.form import action_button, form, form_foot, rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot, icon_button
from components.links import file_link, link
from components.shell.page import page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from models.papers import PaperState
from services.core.permissions import Capability
from services.documents.style import LOGO_BYTES_MAX, Field, Font, Paper
from services.documents.words import LANGUAGES
from services.papers import queries
from state.governance.templates import FORM, HOME, PapersState, TemplatesState, TemplateState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_INVOICES_WRITE.value)
_S, _ROW, _FORM = TemplateState, TemplateState.template, TemplateState.form
_URL = f"{endpoints.STAFF_TEMPLATES}/{_ROW['id'].to(str)}"
_IS_OPEN = MAY_WRITE & _ROW["is_draft"].to(bool)

VERSIONS = table_of(
    queries.TEMPLATES,
    "templates",
    Column("name", "templates.name", kind="link", href="href", row_header=True),
    Column(
        "state",
        "templates.state",
        kind="badge",
        statuses={
            "draft": Status("templates.state_of.draft", "info", "pencil"),
            "published": Status("templates.state_of.published", "neutral"),
            "in_force": Status("templates.state_of.in_force", "ok"),
        },
    ),
    Column("created_at", "templates.created_at", kind="datetime"),
    Column("published_at", "templates.published_at", kind="datetime"),
    texts="templates",
)
_PAPER_LOOKS = {
    PaperState.WAITING.value: Status("papers.state_of.waiting", "info", "clock"),
    PaperState.MADE.value: Status("papers.state_of.made", "ok"),
    PaperState.PARKED.value: Status("papers.state_of.parked", "warn"),
}


def _number(row: rx.Var[dict[str, Any]]) -> rx.Component:
    """An invoice has a page; a credit note stands on that of its invoice."""
    number = row["number"].to(str)
    return rx.cond(row["href"], link(number, href=row["href"].to(str)), rx.fragment(number))


PAPERS = table_of(
    queries.STAFF_PAPERS,
    "papers",
    Column("number", "papers.number", row_header=True, draw=_number),
    Column("organization", "papers.organization"),
    Column("state", "papers.state", kind="badge", statuses=_PAPER_LOOKS),
    Column("error", "papers.error"),
    Column("attempts", "papers.attempts", kind="number"),
    Column("created_at", "papers.created_at", kind="datetime"),
    Column("made_at", "papers.made_at", kind="datetime"),
    texts="papers",
)


def _begin() -> rx.Component:
    begin = dialog(
        rest_form(
            "new-template",
            select("brand_id", t("templates.brand_id"), TemplatesState.brands),
            dialog_foot(dialog_close(), submit_button(t("templates.begin"))),
            url=endpoints.STAFF_TEMPLATES,
            done_text=t("templates.begun"),
            on_done=TemplatesState.begun,
        ),
        title=t("templates.begin"),
        description=t("templates.begin_text"),
        trigger=Trigger(t("templates.begin"), "primary", "plus"),
    )
    return rx.cond(MAY_WRITE & (TemplatesState.brands.length() > 0), begin, rx.fragment())


@page(
    "/governance/templates",
    console=Console.GOVERNANCE,
    title="templates.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=TemplatesState.load,
)
def versions() -> Drawn:
    """All versions of all templates."""
    content = lists.listing(
        TemplatesState,
        VERSIONS,
        [
            Filter("legal_entity_id", "templates.legal_entity_id", options=TemplatesState.entities),
            Filter("brand_id", "templates.brand_id", options=TemplatesState.brands),
            Filter(
                "state",
                "templates.state",
                options=[(one, t(f"templates.state_of.{one}")) for one in ("draft", "published")],
            ),
        ],
        empty=empty_state(t("templates.none"), t("templates.none_text"), icon_name="file-text"),
    )
    return [
        page_header(t("templates.title"), lists.export(TemplatesState), _begin(), text=t("templates.text")),
        in_its_state(TemplatesState, content, retry=TemplatesState.load),
    ]


def _text(name: str, *, hint: bool = False, width: int = 300) -> rx.Component:
    return text_field(
        name,
        t(f"template.{name}"),
        value=_FORM[name],
        hint=t(f"template.{name}_hint") if hint else None,
        required=False,
        max_length=width,
        autocomplete="off",
    )


def _choices(name: str, values: list[str]) -> rx.Component:
    options = [Option(one, t(f"template.{name}.{one}")) for one in values]
    return select(name, t(f"template.{name}"), options, value=_FORM[name])


def _words(language: str) -> rx.Component:
    """A language's own fields, folded until somebody wants them."""

    def area(name: str, rows: int, *, hint: bool = False) -> rx.Component:
        return text_area(
            f"{language}_{name}",
            t(f"template.{name}"),
            value=_FORM[f"{language}_{name}"],
            hint=t(f"template.{name}_hint") if hint else None,
            required=False,
            rows=rows,
        )

    return rx.el.details(
        rx.el.summary(t(f"template.language.{language}")),
        rx.el.div(
            area("notes", 3, hint=True),
            area("payment_text", 2),
            area("legal_text", 3),
            area("extras", 2, hint=True),
            class_name="stack",
        ),
        lang=language,
        dir="auto",
    )


def _desk() -> rx.Component:
    contrast = rx.cond(
        _S.is_readable,
        t("template.contrast", contrast=_S.contrast),
        t("template.pale", contrast=_S.contrast),
    )
    fields = [Option(one.value, t(f"template.field.{one.value}")) for one in Field]
    return form(
        FORM,
        rx.el.h2(t("template.look")),
        rx.el.div(_text("accent", hint=True, width=7), rx.el.p(contrast, class_name="small", role="status")),
        rx.el.div(
            _choices("font", [one.value for one in Font]),
            _choices("paper", [one.value for one in Paper]),
            class_name="field-pair",
        ),
        checkboxes(
            "fields", t("template.fields"), fields, hint=t("template.fields_hint"), value=_FORM["fields"]
        ),
        rx.el.h2(t("template.seller")),
        rx.el.div(_text("email"), _text("phone"), class_name="field-pair"),
        _text("registration_number", width=100),
        _text("account"),
        rx.el.div(_text("account_name"), _text("bank_code"), class_name="field-pair"),
        rx.el.h2(t("template.words")),
        rx.el.p(t("template.words_text"), class_name="small"),
        *(_words(language) for language in LANGUAGES),
        rx.cond(_S.is_saved, banner("ok", t("template.saved")), rx.fragment()),
        rx.cond(_IS_OPEN, form_foot(submit_button(t("template.save"))), rx.fragment()),
        on_submit=_S.save,
        on_settled=_S.settle,
        errors=_S.errors,
        error=_S.error,
        met=_S.met,
        on_take_theirs=_S.load,
        guard=True,
    )


def _logo() -> rx.Component:
    there = rx.el.div(
        rx.el.p(t("template.has_logo")),
        action_button(t("template.remove_logo"), on_press=_S.remove_logo, icon="x"),
        class_name="row",
    )
    field = file_field(
        "file",
        t("template.logo"),
        url=f"{_URL}/logo",
        accept="image/png,image/jpeg,image/svg+xml",
        bytes_max=LOGO_BYTES_MAX,
        hint=t("template.logo_hint"),
        required=False,
        on_uploaded=_S.changed,
    )
    return rx.cond(
        _IS_OPEN,
        section(t("template.logo"), rx.cond(_ROW["has_logo"], there, rx.fragment()), field),
        rx.fragment(),
    )


def _preview() -> rx.Component:
    languages = [Option(one, t(f"template.language.{one}")) for one in LANGUAGES]
    return section(
        t("template.preview"),
        rx.el.p(t("template.preview_text"), class_name="small"),
        select(
            "preview_language",
            t("template.preview_language"),
            languages,
            value=_S.language,
            on_change=lambda value: _S.look_in(value.to(str)),
        ),
        rx.cond(
            _S.preview_error != "",
            banner("warn", _S.preview_error, title=t("template.preview_wrong")),
            rx.fragment(),
        ),
        # It runs nothing and loads nothing, whatever was typed.
        rx.el.iframe(src_doc=_S.preview, sandbox="", title=t("template.preview"), class_name="paper-frame"),
        file_link(
            t("template.preview_pdf"), href=f"{_URL}/preview/pdf?language={_S.language}", opens=True, look=""
        ),
    )


def _asked(name: str, on_press: Any, *, danger: bool = False) -> rx.Component:
    """An act that is asked about before it is done."""
    look = "primary danger" if danger else "primary"
    return dialog(
        dialog_foot(dialog_close(), action_button(t(f"template.{name}"), on_press=on_press, look=look)),
        title=t(f"template.{name}"),
        description=t(f"template.{name}_text"),
        trigger=Trigger(t(f"template.{name}"), "" if danger else "primary"),
        size="small",
    )


@page(
    "/governance/templates/[template_id]",
    console=Console.GOVERNANCE,
    title="template.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=TemplateState.load,
)
def template() -> Drawn:
    """One version: its form, and what it would make."""
    title = t("template.of", brand=_ROW["brand"].to(str), number=_ROW["number"].to(str))
    said = rx.cond(_ROW["is_draft"], t("template.draft_text"), t("template.published_text"))
    acts = rx.cond(
        _IS_OPEN,
        rx.fragment(_asked("discard", _S.discard, danger=True), _asked("publish", _S.publish)),
        rx.fragment(),
    )
    desk = rx.el.div(rx.el.div(_desk(), _logo(), class_name="stack"), _preview(), class_name="desk")
    waiting = skeleton(lines=12, label=t("template.loading"))
    return [
        rx.el.p(link(t("template.back"), href=HOME), class_name="back-link"),
        page_header(rx.cond(_ROW.length() > 0, title, t("template.title")), acts, text=said),
        in_its_state(TemplateState, desk, loading=waiting, retry=TemplateState.load),
    ]


def _retry(row: rx.Var[dict[str, Any]]) -> rx.Component:
    again = icon_button(
        t("papers.retry", number=row["number"].to(str)),
        "rotate-ccw",
        on_press=PapersState.retry(row["id"].to(str)),
    )
    return rx.cond(MAY_WRITE & (row["state"] == PaperState.PARKED.value), again, rx.fragment())


@page(
    "/governance/papers",
    console=Console.GOVERNANCE,
    title="papers.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=PapersState.load,
)
def papers() -> Drawn:
    """Papers of all documents, and why some have none yet."""
    states = [(one, t(look.text)) for one, look in _PAPER_LOOKS.items()]
    content = lists.listing(
        PapersState,
        PAPERS,
        [
            Filter("state", "papers.state", options=states),
            Filter("number", "papers.number", "search"),
            Filter("organization_id", "papers.organization_id", "search"),
        ],
        empty=empty_state(t("papers.none"), t("papers.none_text"), icon_name="file-text"),
        names={"number": t("papers.number"), "organization_id": t("papers.organization")},
        values={f"state:{name}": words for name, words in states},
        actions=_retry,
    )
    return [
        page_header(t("papers.title"), lists.export(PapersState), text=t("papers.text")),
        in_its_state(PapersState, content, retry=PapersState.load),
    ]
