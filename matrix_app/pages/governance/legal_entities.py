"""Legal entities: who issues documents, by which rules, and with which numbers."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.figures import facts
from components.feedback.states import banner, empty_state, skeleton
from components.forms.fields import Option, checkbox, combobox, number_field, select, text_area, text_field
from components.forms.form import form, form_foot, submit_button
from components.links import button_link, link
from components.shell.page import card, page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.public.welcome import timezones
from matrix_app.pages.registry import Console, Drawn, page
from models.places import COUNTRIES
from services.billing import queries
from services.billing.entities import (
    ADDRESS_CHARACTERS_MAX,
    GRACE_HOURS_MAX,
    NAME_CHARACTERS_MAX,
    PAYMENT_DAYS_MAX,
)
from services.billing.numbering import PATTERN_CHARS_MAX
from services.core.permissions import Capability
from state.governance.entity_forms import CHOICES
from state.governance.issuers import FORM, HOME, EntitiesState, EntityState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_INVOICES_WRITE.value)
_S, _ROW, _FORM = EntityState, EntityState.entity, EntityState.form
_NEW = f"{HOME}/new"
FIELDS = "{entity}, {brand}, {year}, {month}"
_USES = {
    "real_usual": Status("entities.use_of.real_usual", "ok"),
    "real": Status("entities.use_of.real", "neutral"),
    "test_usual": Status("entities.use_of.test_usual", "info", "clock"),
    "test": Status("entities.use_of.test", "neutral", "clock"),
}

ENTITIES = table_of(
    queries.ENTITIES,
    "legal-entities",
    Column("code", "entities.code", kind="link", href="href", row_header=True),
    "name",
    "country",
    "currency",
    "timezone",
    Column("use", "entities.use", kind="badge", statuses=_USES),
    texts="entities",
)


def _add() -> rx.Component:
    add = button_link(t("entities.add"), href=_NEW, look="primary", icon_name="plus")
    return rx.cond(MAY_WRITE, add, rx.fragment())


@page(
    "/governance/legal-entities",
    console=Console.GOVERNANCE,
    title="entities.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=EntitiesState.load,
)
def legal_entities() -> Drawn:
    """Who issues documents, by code."""
    kinds = [(name, t(f"entities.is_test_of.{name}")) for name in ("false", "true")]
    content = lists.listing(
        EntitiesState,
        ENTITIES,
        [Filter("is_test", "entities.is_test", options=kinds)],
        empty=empty_state(t("entities.none"), t("entities.none_text"), action=_add(), icon_name="building-2"),
        names={"is_test": t("entities.is_test")},
        values={f"is_test:{name}": words for name, words in kinds},
    )
    return [
        page_header(t("entities.title"), lists.export(EntitiesState), _add(), text=t("entities.text")),
        in_its_state(EntitiesState, content, retry=EntitiesState.load),
    ]


# -- the form


def _pair(*fields: rx.Component) -> rx.Component:
    return rx.el.div(*fields, class_name="field-pair")


def _text(name: str, *, most: int, hint: bool = True, pattern: str | None = None) -> rx.Component:
    return text_field(
        name,
        t(f"entity.{name}"),
        value=_FORM[name],
        hint=t(f"entity.{name}_hint") if hint else None,
        max_length=most,
        pattern=pattern,
        autocomplete="off",
    )


def _lines(name: str, *, rows: int, required: bool) -> rx.Component:
    return text_area(
        name,
        t(f"entity.{name}"),
        value=_FORM[name],
        hint=t(f"entity.{name}_hint"),
        rows=rows,
        required=required,
        max_length=ADDRESS_CHARACTERS_MAX,
    )


def _choice(name: str, texts: str) -> rx.Component:
    options = [Option(one.value, t(f"entity.{texts}.{one.value}")) for one in CHOICES[name]]
    return select(name, t(f"entity.{name}"), options, value=_FORM[name])


def _jurisdictions(name: str) -> rx.Component:
    return text_field(
        name,
        t(f"entity.{name}"),
        value=_FORM[name],
        hint=t(f"entity.{name}_hint"),
        required=False,
        autocomplete="off",
    )


def _who() -> list[rx.Component]:
    return [
        rx.el.h2(t("entity.who")),
        _text("name", most=NAME_CHARACTERS_MAX),
        _lines("address", rows=4, required=True),
        combobox(
            "country",
            t("entity.country"),
            [{"id": code} for code in COUNTRIES],
            names="region",
            value=_FORM["country"].to(str),
        ),
        _lines("tax_ids", rows=2, required=False),
    ]


def _bills() -> list[rx.Component]:
    return [
        rx.el.h2(t("entity.bills")),
        _pair(
            _text("currency", most=3, pattern="[A-Z]{3}"),
            combobox(
                "timezone",
                t("entity.timezone"),
                timezones(),
                hint=t("entity.timezone_hint"),
                value=_FORM["timezone"].to(str),
            ),
        ),
        _pair(
            _whole("grace_hours", GRACE_HOURS_MAX, "hours"), _whole("payment_days", PAYMENT_DAYS_MAX, "days")
        ),
        _choice("zero_documents", "zero_documents_of"),
        checkbox("is_usual", t("entity.usual"), hint=t("entity.usual_hint"), value=_FORM["is_usual"]),
    ]


def _whole(name: str, most: int, unit: str) -> rx.Component:
    return number_field(
        name,
        t(f"entity.{name}"),
        value=_FORM[name],
        hint=t(f"entity.{name}_hint"),
        min=0,
        max=most,
        step=1,
        suffix=t(f"entity.{unit}"),
    )


def _tax() -> list[rx.Component]:
    return [
        rx.el.h2(t("entity.tax")),
        _jurisdictions("registrations"),
        _jurisdictions("reverse_charge_in"),
        checkbox(
            "trusts_unanswered",
            t("entity.trusts_unanswered"),
            hint=t("entity.trusts_unanswered_hint"),
            value=_FORM["trusts_unanswered"],
        ),
        _choice("tax_rounding", "tax_rounding_of"),
    ]


def _reset_word(name: str) -> rx.Component:
    words = [(one.value, t(f"entity.reset_of.{one.value}")) for one in CHOICES[name]]
    return rx.fragment(rx.match(_FORM[name], *words, _FORM[name].to(str)))


def _numbers() -> list[rx.Component]:
    """What numbers are made by, fixed once there are any; and what would come next."""
    code = r"[A-Z0-9]{1,10}"
    typed = rx.fragment(
        rx.el.p(t("entity.numbers_text", fields=FIELDS, sequence="{seq:6}"), class_name="small muted"),
        rx.cond(
            _ROW.length() > 0,
            _text("code", most=10, pattern=code),
            _pair(_text("code", most=10, pattern=code), _text("brand", most=10, pattern=code)),
        ),
        _pair(
            _text("invoice_pattern", most=PATTERN_CHARS_MAX, hint=False),
            _choice("invoice_reset", "reset_of"),
        ),
        _pair(_text("note_pattern", most=PATTERN_CHARS_MAX, hint=False), _choice("note_reset", "reset_of")),
        checkbox("is_test", t("entity.test"), hint=t("entity.test_hint"), value=_FORM["is_test"]),
    )
    fixed = rx.fragment(
        rx.el.p(t("entity.numbers_fixed"), class_name="small muted"),
        facts(
            (t("entity.code"), _FORM["code"].to(str)),
            (t("entity.invoice_pattern"), rx.el.code(_FORM["invoice_pattern"].to(str))),
            (t("entity.invoice_reset"), _reset_word("invoice_reset")),
            (t("entity.note_pattern"), rx.el.code(_FORM["note_pattern"].to(str))),
            (t("entity.note_reset"), _reset_word("note_reset")),
        ),
    )
    return [rx.el.h2(t("entity.numbers")), rx.cond(_S.begun, fixed, typed), _next()]


def _next() -> rx.Component:
    """Said aloud when it changes: it follows what is typed."""
    made = facts(
        (t("entity.invoice_pattern"), rx.el.code(_S.next_invoice)),
        (t("entity.note_pattern"), rx.el.code(_S.next_note)),
    )
    wrong = banner("warn", _S.numbers_wrong, title=t("entity.next_wrong"))
    nothing = rx.el.p(t("entity.next_none"), class_name="small muted")
    return rx.el.div(
        rx.el.h3(t("entity.next")),
        rx.cond(_S.numbers_wrong != "", wrong, rx.cond(_S.next_invoice != "", made, nothing)),
        role="status",
        class_name="stack",
    )


def _form(verb: str) -> rx.Component:
    return form(
        FORM,
        *_who(),
        *_bills(),
        *_tax(),
        *_numbers(),
        rx.cond(_S.is_saved, banner("ok", t("entity.saved")), rx.fragment()),
        rx.cond(MAY_WRITE, form_foot(submit_button(t(verb))), rx.fragment()),
        on_submit=_S.save,
        on_settled=_S.settle,
        errors=_S.errors,
        error=_S.error,
        met=_S.met,
        on_take_theirs=_S.load,
        guard=True,
    )


def _back() -> rx.Component:
    return rx.el.p(link(t("entity.back"), href=HOME), class_name="back-link")


def _beside(row: rx.Var[dict[str, Any]]) -> rx.Component:
    here = f"legal_entity_id={row['id'].to(str)}"
    return rx.el.p(
        link(t("entity.brands"), href=f"/governance/brands?{here}"),
        " · ",
        link(t("entity.series"), href=f"/governance/number-series?{here}"),
        " · ",
        link(t("entity.templates"), href=f"/governance/templates?{here}"),
        " · ",
        link(t("entity.rates"), href="/governance/tax-rates"),
        class_name="small",
    )


def _waiting() -> rx.Component:
    return skeleton(lines=12, label=t("entity.loading"))


@page(
    "/governance/legal-entities/new",
    console=Console.GOVERNANCE,
    title="entity.new",
    needs=Capability.STAFF_INVOICES_WRITE,
    on_load=EntityState.begin,
)
def new_legal_entity() -> Drawn:
    """The form of a new one, with the usual values."""
    return [
        _back(),
        page_header(t("entity.new"), text=t("entity.new_text")),
        in_its_state(EntityState, card(_form("entity.add")), loading=_waiting(), retry=EntityState.begin),
    ]


@page(
    "/governance/legal-entities/[legal_entity_id]",
    console=Console.GOVERNANCE,
    title="entity.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=EntityState.load,
)
def legal_entity() -> Drawn:
    """One legal entity: what is said of it, to be changed."""
    # What was saved, by whomever, is filled in anew.
    drawn_for = _ROW["version"].to(str)
    filled = rx.el.div(_beside(_ROW), card(_form("entity.save")), key=drawn_for, class_name="stack")
    return [
        _back(),
        page_header(
            rx.cond(_ROW.length() > 0, f"{_ROW['code'].to(str)} – {_ROW['name'].to(str)}", t("entity.title")),
            text=t("entity.text"),
        ),
        in_its_state(EntityState, filled, loading=_waiting(), retry=EntityState.load),
    ]
