"""Forms of one plan: a price, an entitlement, the terms of a version, and a quantity to reckon with."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.figures import facts
from components.format.values import money
from components.forms.fields import Option, checkbox, number_field, select, text_area, text_field
from components.forms.form import form, form_foot, rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.props import Flag
from components.shell.page import card, section
from components.tables.table import Column, Table, data_table
from components.texts import t, texts_under
from matrix_app.pages import endpoints
from models.plans import PaymentTime
from models.types import BillingInterval, ProrationPolicy
from services.catalog.plan_rules import DESCRIPTION_CHARACTERS_MAX, NAME_CHARACTERS_MAX, TRIAL_DAYS_MAX
from state.governance.plan_drafts import MODELS
from state.governance.plans import PlanState

Row = rx.Var[dict[str, Any]]
KIND, MODEL = PlanState.form["kind"], PlanState.form["model"]

STEPS = Table(
    "steps",
    "plan.steps",
    columns=(
        Column(
            "kind",
            "plan.step",
            row_header=True,
            draw=lambda row: rx.fragment(
                rx.match(row["kind"], *texts_under("plan.step").items(), row["kind"].to(str))
            ),
        ),
        Column("quantity", "plan.step_quantity", kind="number"),
        Column("unit_amount", "plan.step_unit", kind="price", currency="currency"),
        Column("flat_amount", "plan.step_flat", kind="price", currency="currency"),
        Column("amount", "plan.step_amount", kind="price", currency="currency"),
    ),
)


def _options(names: tuple[str, ...] | list[str], texts: str) -> list[Option]:
    return [Option(name, t(f"{texts}.{name}")) for name in names]


def _when(condition: Any, *content: rx.Component) -> rx.Component:
    return rx.cond(condition, rx.fragment(*content), rx.fragment())


def _amount(
    name: str, *, required: bool = True, hint: str | None = "plan.decimal_hint", whole: bool = False
) -> rx.Component:
    return text_field(
        name,
        t(f"plan.{name}"),
        value=PlanState.form[name],
        hint=t(hint) if hint else None,
        required=required,
        pattern=r"\d{1,13}" if whole else r"\d{1,13}(\.\d{1,30})?",
        autocomplete="off",
    )


def _pair(*fields: rx.Component) -> rx.Component:
    return rx.el.div(*fields, class_name="field-pair")


def _model_fields() -> rx.Component:
    """What the chosen model asks for."""
    tiers = rx.fragment(
        text_area("tiers", t("plan.tiers"), hint=t("plan.tiers_hint"), value=PlanState.form["tiers"], rows=4),
        checkbox(
            "first_flat_at_zero",
            t("plan.first_flat_at_zero"),
            value=PlanState.form["first_flat_at_zero"] != "",
        ),
    )
    return rx.match(
        MODEL,
        ("flat", _amount("amount")),
        ("package", _pair(_amount("amount"), _amount("size"))),
        ("graduated", tiers),
        ("volume", tiers),
        (
            "percentage",
            rx.fragment(
                _pair(_amount("rate", hint="plan.rate_hint"), _amount("fixed_fee", required=False)),
                _pair(
                    *(_amount(name, required=False, hint=None) for name in ("event_minimum", "event_maximum"))
                ),
                _amount("free_events", required=False, hint="plan.free_events_hint"),
            ),
        ),
        _amount("unit_amount"),
    )


def _model_choice() -> rx.Component:
    """The models that the chosen kind can have."""
    return rx.match(
        KIND,
        *[
            (
                kind,
                select(
                    "model",
                    t("plan.model"),
                    _options(models, "plan.model"),
                    value=MODEL,
                    on_change=lambda value: PlanState.choose_model(value.to(str)),
                ),
            )
            for kind, models in MODELS.items()
            if len(models) > 1
        ],
        rx.fragment(),
    )


def _named() -> rx.Component:
    fields = PlanState.form
    return _pair(
        text_field(
            "name",
            t("plan.charge_name"),
            value=fields["name"],
            max_length=NAME_CHARACTERS_MAX,
            autocomplete="off",
        ),
        text_field(
            "key",
            t("plan.key"),
            value=fields["key"],
            hint=t("plan.key_hint"),
            pattern="[a-z][a-z0-9_]*",
            autocomplete="off",
        ),
    )


def _often() -> rx.Component:
    """How often it is billed; usage always at the end of a period, and never in parts."""
    fields = PlanState.form
    period = _pair(
        select(
            "interval",
            t("plan.interval"),
            _options([one.value for one in BillingInterval], "plan.interval"),
            value=fields["interval"],
        ),
        text_field(
            "interval_count",
            t("plan.interval_count"),
            value=fields["interval_count"],
            pattern="[1-9][0-9]{0,2}",
        ),
    )
    timing = select(
        "timing",
        t("plan.timing"),
        _options(["advance", "arrears"], "plan.timing"),
        value=rx.cond(fields["timing"] == "", "advance", fields["timing"]),
    )
    proration = select(
        "proration",
        t("plan.proration"),
        _options([one.value for one in ProrationPolicy], "plan.proration"),
        value=fields["proration"],
    )
    return _when(KIND != "one_off", period, _when(KIND != "metered", _pair(timing, proration)))


def charge_dialog() -> rx.Component:
    """One price: what it is called, what it counts, how it is reckoned, and how often it is billed."""
    kind = select(
        "kind",
        t("plan.kind"),
        _options(list(MODELS), "plan.kind"),
        value=KIND,
        on_change=lambda value: PlanState.choose_kind(value.to(str)),
    )
    meter = select("meter", t("plan.meter"), PlanState.meters, value=PlanState.form["meter"])
    currency = text_field(
        "currency",
        t("plan.currency"),
        value=PlanState.form["currency"],
        pattern="[A-Z]{3}",
        autocomplete="off",
    )
    limits = _pair(
        *(_amount(name, required=False, hint=None, whole=True) for name in ("quantity_min", "quantity_max"))
    )
    return dialog(
        form(
            "charge",
            _named(),
            _pair(kind, _model_choice()),
            _when(KIND == "metered", meter),
            currency,
            _model_fields(),
            _often(),
            _when((KIND == "seat") | (KIND == "one_off"), limits),
            _when((KIND == "seat") | (KIND == "metered"), _amount("free_units", required=False, hint=None)),
            _pair(*(_amount(name, required=False, hint=None) for name in ("minimum", "maximum"))),
            _when(
                (KIND == "flat") | (KIND == "seat"),
                _amount("included_credits", required=False, hint="plan.included_hint"),
            ),
            checkbox(
                "tax_inclusive",
                t("plan.tax_inclusive"),
                hint=t("plan.tax_inclusive_hint"),
                value=PlanState.form["tax_inclusive"] != "",
            ),
            dialog_foot(dialog_close(), submit_button(t("plan.save_price"))),
            on_submit=PlanState.save_charge,
            errors=PlanState.errors,
            error=PlanState.error,
            met=PlanState.met,
            on_take_theirs=PlanState.take_theirs,
        ),
        title=t("plan.price"),
        description=t("plan.price_text"),
        size="large",
        open=PlanState.open_dialog == "charge",
        on_open_change=PlanState.turn("charge"),
    )


def entitlement_dialog() -> rx.Component:
    """What the version gives of one feature."""
    return dialog(
        form(
            "entitlement",
            text_field("name", t("plan.feature"), max_length=NAME_CHARACTERS_MAX, autocomplete="off"),
            text_field(
                "key", t("plan.key"), hint=t("plan.key_hint"), pattern="[a-z][a-z0-9_]*", autocomplete="off"
            ),
            select("kind", t("plan.kind"), _options(["flag", "number", "text"], "plan.entitlement_kind")),
            text_field("value", t("plan.value"), hint=t("plan.value_hint"), value="true", max_length=500),
            dialog_foot(dialog_close(), submit_button(t("plan.add_entitlement"))),
            on_submit=PlanState.save_entitlement,
            errors=PlanState.errors,
            error=PlanState.error,
            met=PlanState.met,
            on_take_theirs=PlanState.take_theirs,
        ),
        title=t("plan.add_entitlement"),
        description=t("plan.entitlement_text"),
        trigger=Trigger(t("plan.add_entitlement"), "", "plus"),
        open=PlanState.open_dialog == "entitlement",
        on_open_change=PlanState.turn("entitlement"),
    )


def terms(editable: Flag) -> rx.Component:
    """Trial and tax of the version; a form while it is a draft."""
    version = PlanState.version
    asked = form(
        "terms",
        _pair(
            number_field(
                "trial_days",
                t("plan.trial_days"),
                value=version["trial_days"],
                min=0,
                max=TRIAL_DAYS_MAX,
                step=1,
            ),
            text_field(
                "tax_code", t("plan.tax_code"), hint=t("plan.tax_code_hint"), value=version["tax_code"]
            ),
        ),
        select(
            "payment",
            t("plan.payment"),
            _options([one.value for one in PaymentTime], "plan.payment"),
            hint=t("plan.payment_hint"),
            value=version["payment"],
        ),
        form_foot(submit_button(t("plan.save_terms"), look="")),
        on_submit=PlanState.save_terms,
        errors=PlanState.terms_errors,
        met=PlanState.met,
        on_take_theirs=PlanState.take_theirs,
    )
    shown = facts(
        (t("plan.trial_days"), version["trial_days"].to(str)),
        (t("plan.tax_code"), version["tax_code"].to(str)),
        (t("plan.payment"), rx.match(version["payment"], *texts_under("plan.payment").items(), "")),
    )
    return card(rx.cond(editable, asked, shown))


def estimate() -> rx.Component:
    """A quantity, and what it would cost by one of the prices."""
    prices = rx.Var.create(PlanState.priced)
    result = rx.fragment(
        facts(
            (t("plan.total"), money(PlanState.estimate["total"], PlanState.estimate["currency"])),
            (
                t("plan.exactly"),
                money(PlanState.estimate["amount"], PlanState.estimate["currency"], exact=True),
            ),
        ),
        data_table(STEPS, PlanState.steps),
    )
    return section(
        t("plan.estimate"),
        rx.el.p(t("plan.estimate_text"), class_name="small muted"),
        card(
            form(
                "estimate",
                _pair(
                    select("charge_id", t("plan.price"), prices),
                    text_field("quantity", t("plan.quantity"), value="1", autocomplete="off"),
                ),
                form_foot(submit_button(t("plan.reckon"), look="")),
                on_submit=PlanState.reckon,
                errors=PlanState.estimate_errors,
            ),
            rx.cond(PlanState.steps.length() > 0, result, rx.fragment()),
        ),
    )


def retention_offer(editable: Flag) -> rx.Component:
    """What is offered to whoever is about to cancel the plan."""
    coupon, text = PlanState.plan["retention_coupon"], PlanState.plan["retention_text"]
    asked = rest_form(
        "retention-offer",
        text_field(
            "coupon",
            t("plan.offer_coupon"),
            hint=t("plan.offer_hint"),
            value=coupon,
            required=False,
            max_length=64,
            autocomplete="off",
        ),
        text_area(
            "text",
            t("plan.offer_text"),
            value=text,
            required=False,
            rows=2,
            max_length=DESCRIPTION_CHARACTERS_MAX,
        ),
        form_foot(submit_button(t("plan.offer_save"), look="")),
        url=f"{endpoints.STAFF_PLANS}/{PlanState.plan['id'].to(str)}/retention-offer",
        method="PUT",
        version=PlanState.plan["version"].to(int),
        names={"coupon": "retention_coupon", "text": "retention_text"},
        on_take_theirs=PlanState.load,
        done_text=t("plan.offer_saved"),
        on_done=PlanState.load,
    )
    shown = facts(
        (t("plan.offer_coupon"), rx.cond(coupon, coupon.to(str), t("plan.offer_none"))),
        (t("plan.offer_text"), text.to(str)),
    )
    return section(
        t("plan.offer"),
        rx.el.p(t("plan.offer_said"), class_name="small muted"),
        card(rx.cond(editable, asked, shown)),
    )
