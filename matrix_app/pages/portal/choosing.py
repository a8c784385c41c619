"""Choosing a plan with what it costs beside it, to begin a subscription or to change one."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.figures import fact, facts
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import money, when
from components.forms.fields import checkbox, select, text_field
from components.forms.form import action_button, form, submit_button
from components.forms.stepper import stepper
from components.icons import icon
from components.links import button_link, link
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import plan_prices
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.line_reasons import formula_of
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.terms_line import terms_line
from models.terms import Occasion
from services.core.permissions import Capability
from state.portal.choosing import ChoiceState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
_S = ChoiceState
PROFILE = "/portal/billing-profile"


def _rows(row: Any, name: str) -> rx.Var[list[dict[str, Any]]]:
    return row[name].to(list[dict[str, Any]])


# -- what is chosen


def _interval(row: Any) -> rx.Component:
    words = plan_prices.every(row["interval"], row["count"])
    chosen = rx.cond(row["chosen"], "true", "false")
    return rx.el.button(
        words,
        type="button",
        class_name="segment",
        on_click=_S.choose_interval(row["id"].to(str)),
        custom_attrs={"aria-pressed": chosen},
        key=row["id"].to(str),
    )


def _counted(row: Any) -> rx.Component:
    field = stepper(
        row["id"].to(str),
        row["name"].to(str),
        value=row["quantity"].to(str),
        min=row["min"].to(str),
        max=row["max"].to(str),
        on_change=lambda quantity: _S.count(row["id"].to(str), quantity),
    )
    return rx.el.div(
        field, _price(row["charge"].to(dict[str, Any])), class_name="counted", key=row["id"].to(str)
    )


def _price(charge: Any) -> rx.Component:
    often = plan_prices.every(charge["interval"], charge["interval_count"])
    return rx.el.div(
        plan_prices.lines(charge), rx.el.span(often, class_name="faint"), class_name="small muted"
    )


def _addon(row: Any) -> rx.Component:
    ticked = checkbox(
        f"addon-{row['id'].to(str)}",
        row["name"].to(str),
        hint=row["description"].to(str),
        value=row["chosen"],
        on_change=lambda wanted: _S.tick(row["id"].to(str), wanted.to(bool)),
    )
    counted = _rows(row, "counted")
    return rx.el.div(
        rx.el.div(ticked, rx.foreach(_rows(row, "charges"), _price), class_name="counted"),
        rx.cond(
            row["chosen"].to(bool) & (counted.length() > 0),
            rx.el.div(rx.foreach(counted, lambda one: _of_addon(row, one)), class_name="stack"),
            rx.fragment(),
        ),
        class_name="stack",
        key=row["id"].to(str),
    )


def _of_addon(row: Any, one: Any) -> rx.Component:
    addon, slot = row["id"].to(str), one["id"].to(str)
    return stepper(
        f"{addon}-{slot}",
        t("choose.of_addon", addon=row["name"].to(str), name=one["name"].to(str)),
        value=one["quantity"].to(str),
        min=one["min"].to(str),
        max=one["max"].to(str),
        on_change=lambda quantity: _S.count_addon(addon, slot, quantity),
    )


def _coupon() -> rx.Component:
    return form(
        "coupon",
        rx.el.div(
            text_field(
                "coupon",
                t("choose.coupon"),
                value=_S.coupon,
                required=False,
                max_length=64,
                autocomplete="off",
            ),
            submit_button(t("choose.coupon_apply"), look=""),
            class_name="field-with-button",
        ),
        on_submit=_S.apply_coupon,
        errors=_S.coupon_errors,
    )


def _choice() -> rx.Component:
    intervals = rx.el.div(
        rx.el.span(t("choose.interval"), class_name="label"),
        rx.el.div(
            rx.foreach(_S.intervals, _interval),
            class_name="segments",
            role="group",
            aria_label=t("choose.interval"),
        ),
        class_name="field",
    )
    addons = rx.el.fieldset(
        rx.el.legend(t("choose.addons"), class_name="label"),
        rx.foreach(_S.addons, _addon),
        class_name="stack",
    )
    return card(
        select(
            "plan",
            t("choose.plan"),
            _S.plans.to(list[dict[str, str]]),
            value=_S.plan["id"].to(str),
            on_change=lambda plan_id: _S.choose_plan(plan_id.to(str)),
        ),
        rx.cond(_S.intervals.length() > 1, intervals, rx.fragment()),
        rx.foreach(_S.counted, _counted),
        rx.cond(_S.addons.length() > 0, addons, rx.fragment()),
        _coupon(),
    )


# -- what it comes to


def why(line: Any) -> rx.Component:
    """How a line's amount comes about, to open."""
    steps = rx.foreach(
        _rows(line, "steps"),
        lambda step: rx.el.li(formula_of(step), key=step["id"].to(str)),
    )
    period = rx.fragment(
        when(line["period_start"], zone=SessionState.zone),
        " – ",
        when(line["period_end"], zone=SessionState.zone),
    )
    return rx.el.details(
        rx.el.summary(
            t("choose.why"),
            rx.el.span(" ", t("choose.why_of", line=line["name"].to(str)), class_name="visually-hidden"),
        ),
        rx.el.ul(steps, class_name="plain-list"),
        rx.cond(
            line["period_start"], rx.el.p(t("choose.period"), " ", period, class_name="small"), rx.fragment()
        ),
        rx.el.p(t("choose.rounding"), class_name="small faint"),
        class_name="why",
    )


def _line(line: Any) -> rx.Component:
    currency = line["currency"].to(str)
    discount = rx.cond(
        line["discount"],
        rx.el.p(
            t("choose.discount"), " ", "\u2212", money(line["discount"], currency), class_name="small muted"
        ),
        rx.fragment(),
    )
    return rx.el.li(
        rx.el.div(
            rx.el.span(line["name"].to(str)),
            rx.el.span(money(line["amount"], currency), class_name="num"),
            class_name="bill-line",
        ),
        discount,
        why(line),
        key=line["id"].to(str),
    )


def _sum(row: Any, name: str, *, always: bool = False) -> rx.Component:
    shown = fact(t(f"choose.{name}"), money(row[name], row["currency"].to(str)))
    return shown if always else rx.cond(row[name] != "0", shown, rx.fragment())


def _document(row: Any) -> rx.Component:
    waits = rx.cond(row["comes"], t("choose.invoice_comes"), t("choose.invoice_later"))
    title = rx.cond(
        row["waits"],
        rx.fragment(waits, " (", when(row["billed_at"], "date", zone=SessionState.zone), ")"),
        t("choose.invoice"),
    )
    return rx.el.div(
        rx.el.h3(title),
        rx.el.ul(rx.foreach(_rows(row, "lines"), _line), class_name="plain-list bill"),
        rx.el.dl(
            _sum(row, "discount"), _sum(row, "net", always=True), _sum(row, "tax", always=True),
            _sum(row, "total", always=True), _sum(row, "credits"), class_name="facts bill-sums",
        ),
        rx.cond(
            row["comes"], rx.el.p(t("choose.without_usage"), class_name="small muted"), rx.fragment()
        ),
        class_name="stack",
        key=row["id"].to(str),
    )  # fmt: skip


def documents(rows: Any) -> rx.Component:
    """Invoices that an act would make, each line explained."""
    return rx.fragment(rx.foreach(rows, _document))


def comes_next(shown: Any) -> rx.Component:
    """What of a preview is due, kept, and what comes after it."""
    currency = shown["currency"].to(str)
    due = rx.cond(
        shown["due"] == "0",
        rx.el.p(t("choose.nothing_due"), class_name="due"),
        rx.el.p(
            t("choose.due"), rx.el.span(money(shown["due"], currency), class_name="num"), class_name="due"
        ),
    )
    later = facts(
        _if(shown, "waiting", money(shown["waiting"], currency)),
        _if(shown, "settled", money(shown["settled"], currency)),
        _if(shown, "credit", money(shown["credit"], currency)),
        _if(shown, "included", money(shown["included"], currency)),
        rx.cond(
            shown["is_later"],
            fact(t("choose.later"), when(shown["effective_at"], zone=SessionState.zone)),
            rx.fragment(),
        ),
        rx.cond(
            shown["upcoming_at"],
            fact(
                t("choose.then"),
                rx.fragment(
                    money(shown["upcoming"], currency),
                    " ",
                    rx.el.span(
                        when(shown["upcoming_at"], "date", zone=SessionState.zone),
                        ", ",
                        t("subscription.upcoming_text"),
                        class_name="small muted",
                    ),
                ),
            ),
            rx.fragment(),
        ),
    )
    return rx.fragment(due, later)


def _if(row: Any, name: str, shown: rx.Component) -> rx.Component:
    return rx.cond(row[name], fact(t(f"choose.{name}"), shown), rx.fragment())


def _agree() -> rx.Component:
    due = rx.cond(
        _S.preview["due"] == "0",
        rx.cond(
            _S.preview["state"] == "trialing",
            action_button(t("choose.start_trial"), on_press=_S.confirm, look="primary", icon="check"),
            action_button(t("choose.agree_free"), on_press=_S.confirm, look="primary", icon="check"),
        ),
        action_button(
            t("choose.agree", amount=_S.preview["due_said"].to(str)),
            on_press=_S.confirm,
            look="primary",
            icon="check",
        ),
    )
    return rx.el.div(
        rx.el.p(t("choose.held"), class_name="small muted"),
        terms_line(_S.terms, Occasion.SUBSCRIBING),
        due,
        action_button(t("choose.again"), on_press=_S.look, look="quiet", icon="refresh-cw"),
        class_name="stack",
    )


def _bill() -> rx.Component:
    trial = _S.plan["trial_days"].to(int)
    shown = rx.fragment(
        documents(_S.documents),
        rx.cond(trial > 0, rx.el.p(t("choose.trial", count=trial), class_name="muted"), rx.fragment()),
        comes_next(_S.preview),
        _agree(),
    )
    profile = banner(
        "info",
        t("choose.profile"),
        action=button_link(t("choose.profile_action"), href=PROFILE, look="primary"),
    )
    refused = rx.el.div(
        rx.cond(_S.refusal, banner("warn", _S.refusal), rx.el.p(t("choose.none_yet"), class_name="muted")),
        action_button(t("choose.again"), on_press=_S.look, look="", icon="refresh-cw"),
        class_name="stack",
    )
    return rx.el.section(
        rx.el.h2(icon("receipt", size=20), t("choose.what_you_pay")),
        rx.el.div(
            rx.cond(_S.refusal & (_S.preview.length() > 0), banner("warn", _S.refusal), rx.fragment()),
            rx.cond(
                _S.needs_profile, profile, rx.cond(_S.preview.length() > 0, shown, refused)
            ),
            aria_live="polite",
            class_name="stack",
        ),
        class_name="card bill-card",
    )  # fmt: skip


def _content(title: str, back: rx.Component) -> Drawn:
    content = rx.el.div(_choice(), _bill(), class_name="checkout")
    nothing = empty_state(t("offers.none"), t("offers.none_text"), icon_name="tags")
    return [
        rx.el.p(back, class_name="back-link"),
        page_header(t(title), text=t("choose.text")),
        in_its_state(
            _S,
            rx.cond(_S.plans.length() > 0, content, nothing),
            loading=skeleton(lines=10, label=t("choose.loading")),
            retry=_S.load,
        ),
    ]


@page(
    "/portal/subscriptions/[subscription_id]/change",
    console=Console.PORTAL,
    title="choose.change_title",
    needs=Capability.SUBSCRIPTIONS_WRITE,
    on_load=ChoiceState.load,
)
def change() -> Drawn:
    """Another plan, other numbers or add-ons for a subscription."""
    home = f"/portal/subscriptions/{_S.subscription['id'].to(str)}"
    return _content("choose.change_title", link(t("choose.back_subscription"), href=home))


@page(
    "/portal/subscribe",
    console=Console.PORTAL,
    title="choose.title",
    needs=Capability.SUBSCRIPTIONS_WRITE,
    on_load=ChoiceState.load,
)
def subscribe() -> Drawn:
    """A plan to begin with."""
    return _content("choose.title", link(t("choose.back"), href="/portal/plans"))
