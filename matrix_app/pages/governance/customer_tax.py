"""To whom an organisation's documents go, and how it is taxed: a section of its page, for staff."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.figures import fact, facts
from components.feedback.states import empty_state
from components.format.values import value, when
from components.forms.fields import Option, select, text_field
from components.forms.form import action_button, form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.shell.page import card, section
from components.texts import t
from matrix_app.pages.tax_numbers import number_badge
from services.billing.profiles import REASON_CHARACTERS_MAX
from services.core.permissions import Capability
from state.governance.customer_tax import BRAND_FORM, EXEMPTION_FORM, NUMBER_FORM, CustomerTaxState
from state.session import SessionState

_S, _ROW = CustomerTaxState, CustomerTaxState.profile
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_INVOICES_WRITE.value)


def tax_section() -> rx.Component:
    """Who is addressed, the checked number, and why no tax is charged."""
    none = empty_state(t("customer_tax.none"), t("customer_tax.none_text"), icon_name="building-2", level=3)
    ask = action_button(t("customer_tax.check_again"), on_press=_S.check_again, icon="refresh-cw")
    again = rx.cond(_ROW["number"], ask, rx.fragment())
    acts = rx.cond(
        MAY_WRITE & (_ROW.length() > 0),
        rx.el.div(again, _brand_dialog(), _number_dialog(), _exemption_dialog(), class_name="row"),
        rx.fragment(),
    )
    shown = rx.cond(_ROW.length() > 0, card(_facts()), none)
    content = rx.match(
        _S.status,
        ("loading", rx.fragment()),
        ("ready", section(t("customer_tax.title"), shown, actions=[acts])),
        rx.fragment(),
    )
    return rx.fragment(content)


def _facts() -> rx.Component:
    checked = rx.el.span(
        _ROW["found_by"].to(str), ", ", when(_ROW["checked_at"], "datetime"), class_name="small muted"
    )
    number = rx.fragment(
        _ROW["number"].to(str), " ", number_badge(_ROW["state"].to(str)), " ",
        rx.cond(_ROW["checked_at"], checked, rx.fragment()),
    )  # fmt: skip
    until = rx.cond(_ROW["valid_until"], when(_ROW["valid_until"], "date"), t("tax_rates.open"))
    exempt = rx.fragment(
        _ROW["reason_code"].to(str), " ", _ROW["reason"].to(str), " ",
        rx.el.span(when(_ROW["valid_from"], "date"), " – ", until, class_name="small muted"),
    )  # fmt: skip
    return facts(
        (t("customer_tax.name"), _ROW["name"].to(str)),
        (t("customer_tax.address"), rx.el.span(_ROW["address"].to(str), class_name="party")),
        (t("customer_tax.country"), value(_ROW["country"].to(str), "region")),
        (t("customer_tax.language"), value(_ROW["language"].to(str), "language")),
        (
            t("customer_tax.brand"),
            rx.cond(_ROW["brand"], _ROW["brand"].to(str), t("customer_tax.brand_default")),
        ),
        _if(_ROW["number"], "number", number),
        _if(_ROW["found_reference"], "reference", _ROW["found_reference"].to(str)),
        _if(_ROW["override_reason"], "override_reason", _ROW["override_reason"].to(str)),
        _if(_ROW["is_exempt"], "exemption", exempt),
        _if(_ROW["is_exempt"], "evidence", _ROW["evidence"].to(str)),
    )


def _if(there: Any, name: str, shown: Any) -> rx.Component:
    return rx.cond(there, fact(t(f"customer_tax.{name}"), shown), rx.fragment())


def _text(name: str, *, required: bool = True, hint: bool = False, kind: Any = "text") -> rx.Component:
    return text_field(
        name,
        t(f"customer_tax.{name}"),
        kind=kind,
        value=_ROW[name],
        hint=t(f"customer_tax.{name}_hint") if hint else None,
        required=required,
        max_length=None if kind == "date" else REASON_CHARACTERS_MAX,
        autocomplete="off",
    )


def _brand_dialog() -> rx.Component:
    return dialog(
        form(
            BRAND_FORM,
            select(
                "brand_id",
                t("customer_tax.brand_id"),
                _S.brands.to(list[dict[str, str]]),
                hint=t("customer_tax.brand_id_hint"),
                value=_ROW["brand_id"],
                required=False,
            ),
            dialog_foot(dialog_close(), submit_button(t("customer_tax.save"))),
            on_submit=_S.save_brand,
            errors=_S.errors,
            met=_S.met,
            on_take_theirs=_S.load,
        ),
        title=t("customer_tax.set_brand"),
        description=t("customer_tax.set_brand_text"),
        trigger=Trigger(t("customer_tax.set_brand"), "", "pencil"),
        open=_S.open_dialog == "brand",
        on_open_change=_S.turn("brand"),
    )


def _number_dialog() -> rx.Component:
    found = [Option(one, t(f"customer_tax.valid_of.{one}")) for one in ("true", "false")]
    return dialog(
        form(
            NUMBER_FORM,
            _text("number", required=False, hint=True),
            select("valid", t("customer_tax.valid"), found, value=_ROW["valid"]),
            _text("source", required=False, hint=True),
            _text("reference", required=False),
            _text("override_reason", required=False, hint=True),
            dialog_foot(dialog_close(), submit_button(t("customer_tax.save"))),
            on_submit=_S.save_number,
            errors=_S.errors,
            met=_S.met,
            on_take_theirs=_S.load,
        ),
        title=t("customer_tax.set_number"),
        description=t("customer_tax.set_number_text"),
        trigger=Trigger(t("customer_tax.set_number"), "", "pencil"),
        open=_S.open_dialog == "number",
        on_open_change=_S.turn("number"),
    )


def _exemption_dialog() -> rx.Component:
    end = action_button(t("customer_tax.end_exemption"), on_press=_S.end_exemption, look="danger")
    return dialog(
        form(
            EXEMPTION_FORM,
            _text("reason_code", required=False, hint=True),
            _text("reason", required=False, hint=True),
            _text("evidence", hint=True),
            rx.el.div(
                _text("valid_from", required=False, kind="date", hint=True),
                _text("valid_until", required=False, kind="date", hint=True),
                class_name="field-pair",
            ),
            dialog_foot(
                dialog_close(),
                rx.cond(_ROW["is_exempt"], end, rx.fragment()),
                submit_button(t("customer_tax.save")),
            ),
            on_submit=_S.save_exemption,
            errors=_S.errors,
            met=_S.met,
            on_take_theirs=_S.load,
        ),
        title=t("customer_tax.set_exemption"),
        description=t("customer_tax.set_exemption_text"),
        trigger=Trigger(t("customer_tax.set_exemption"), "", "pencil"),
        open=_S.open_dialog == "exemption",
        on_open_change=_S.turn("exemption"),
    )
