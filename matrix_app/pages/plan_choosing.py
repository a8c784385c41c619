"""Choosing a plan with what it costs beside it, in the portal and in the governance console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from components.feedback.states import banner, empty_state, skeleton
from components.forms.fields import checkbox, select, text_field
from components.forms.form import action_button, form, submit_button
from components.forms.stepper import stepper
from components.icons import icon
from components.links import button_link
from components.props import Drawn as Part
from components.props import Flag
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import plan_prices
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.previews import comes_next, documents
from matrix_app.pages.registry import Drawn

Row = rx.Var[dict[str, Any]]
State = Any  # a page's state of either console, a subclass of Choosing
Words = Callable[..., Any]  # texts by name: they differ by who pays


def _rows(row: Any, name: str) -> rx.Var[list[dict[str, Any]]]:
    return row[name].to(list[dict[str, Any]])


# -- what is chosen


def _interval(state: State, row: Any) -> rx.Component:
    words = plan_prices.every(row["interval"], row["count"])
    chosen = rx.cond(row["chosen"], "true", "false")
    return rx.el.button(
        words,
        type="button",
        class_name="segment",
        on_click=state.choose_interval(row["id"].to(str)),
        custom_attrs={"aria-pressed": chosen},
        key=row["id"].to(str),
    )


def _counted(state: State, row: Any) -> rx.Component:
    field = stepper(
        row["id"].to(str),
        row["name"].to(str),
        value=row["quantity"].to(str),
        min=row["min"].to(str),
        max=row["max"].to(str),
        on_change=lambda quantity: state.count(row["id"].to(str), quantity),
    )
    return rx.el.div(
        field, _price(row["charge"].to(dict[str, Any])), class_name="counted", key=row["id"].to(str)
    )


def _price(charge: Any) -> rx.Component:
    often = plan_prices.every(charge["interval"], charge["interval_count"])
    return rx.el.div(
        plan_prices.lines(charge), rx.el.span(often, class_name="faint"), class_name="small muted"
    )


def _addon(state: State, row: Any) -> rx.Component:
    ticked = checkbox(
        f"addon-{row['id'].to(str)}",
        row["name"].to(str),
        hint=row["description"].to(str),
        value=row["chosen"],
        on_change=lambda wanted: state.tick(row["id"].to(str), wanted.to(bool)),
    )
    counted = _rows(row, "counted")
    return rx.el.div(
        rx.el.div(ticked, rx.foreach(_rows(row, "charges"), _price), class_name="counted"),
        rx.cond(
            row["chosen"].to(bool) & (counted.length() > 0),
            rx.el.div(rx.foreach(counted, lambda one: _of_addon(state, row, one)), class_name="stack"),
            rx.fragment(),
        ),
        class_name="stack",
        key=row["id"].to(str),
    )


def _of_addon(state: State, row: Any, one: Any) -> rx.Component:
    addon, slot = row["id"].to(str), one["id"].to(str)
    return stepper(
        f"{addon}-{slot}",
        t("choose.of_addon", addon=row["name"].to(str), name=one["name"].to(str)),
        value=one["quantity"].to(str),
        min=one["min"].to(str),
        max=one["max"].to(str),
        on_change=lambda quantity: state.count_addon(addon, slot, quantity),
    )


def _coupon(state: State) -> rx.Component:
    return form(
        "coupon",
        rx.el.div(
            text_field(
                "coupon",
                t("choose.coupon"),
                value=state.coupon,
                required=False,
                max_length=64,
                autocomplete="off",
            ),
            submit_button(t("choose.coupon_apply"), look=""),
            class_name="field-with-button",
        ),
        on_submit=state.apply_coupon,
        seen={"coupon": state.coupon},
        errors=state.coupon_errors,
    )


def _choice(state: State) -> rx.Component:
    intervals = rx.el.div(
        rx.el.span(t("choose.interval"), class_name="label"),
        rx.el.div(
            rx.foreach(state.intervals, lambda row: _interval(state, row)),
            class_name="segments",
            role="group",
            aria_label=t("choose.interval"),
        ),
        class_name="field",
    )
    addons = rx.el.fieldset(
        rx.el.legend(t("choose.addons"), class_name="label"),
        rx.foreach(state.addons, lambda row: _addon(state, row)),
        class_name="stack",
    )
    currency = select(
        "currency",
        t("offers.currency"),
        state.currencies.to(list[dict[str, str]]),
        value=state.plan["currency"].to(str),
        on_change=lambda code: state.choose_currency(code.to(str)),
    )
    return card(
        select(
            "plan",
            t("choose.plan"),
            state.plans.to(list[dict[str, str]]),
            value=state.plan["id"].to(str),
            on_change=lambda plan_id: state.choose_plan(plan_id.to(str)),
        ),
        rx.cond(state.currencies.length() > 1, currency, rx.fragment()),
        rx.cond(state.intervals.length() > 1, intervals, rx.fragment()),
        rx.foreach(state.counted, lambda row: _counted(state, row)),
        rx.cond(state.addons.length() > 0, addons, rx.fragment()),
        _coupon(state),
    )


# -- what it comes to


def _agree(state: State, words: Words, says_trial: Flag, accepts: Part) -> rx.Component:
    def agree(name: str, **values: Any) -> rx.Component:
        confirm = state.confirm(state.looked.to(int))
        return action_button(
            words(name, **values), on_press=confirm, look="primary", icon="check", agrees=True
        )

    due = rx.cond(
        state.preview["due"] == "0",
        rx.cond(says_trial, agree("start_trial"), agree("agree_free")),
        agree("agree", amount=state.preview["due_said"].to(str)),
    )
    return rx.el.div(
        rx.el.p(words("held"), class_name="small muted"),
        accepts,
        due,
        action_button(t("choose.again"), on_press=state.look, look="quiet", icon="refresh-cw"),
        class_name="stack",
    )


def _bill(state: State, words: Words, profile: Any, accepts: Part) -> rx.Component:
    def asks_profile(name: str) -> Part:
        to_profile = button_link(words("profile_action"), href=profile, look="primary")
        return banner("info", words(name), action=to_profile)

    trial = state.plan["trial_days"].to(int)
    says_trial = (trial > 0) & (state.preview["state"] == "trialing")
    shown = rx.fragment(
        documents(state.documents),
        rx.cond(says_trial, rx.el.p(words("trial", count=trial), class_name="muted"), rx.fragment()),
        rx.cond(state.preview["needs_profile"].to(bool), asks_profile("profile_later"), rx.fragment()),
        comes_next(state.preview),
        _agree(state, words, says_trial, accepts),
    )
    refused = rx.el.div(
        rx.cond(
            state.refusal, banner("warn", state.refusal), rx.el.p(t("choose.none_yet"), class_name="muted")
        ),
        action_button(t("choose.again"), on_press=state.look, look="", icon="refresh-cw"),
        class_name="stack",
    )
    return rx.el.section(
        rx.el.h2(icon("receipt", size=20), words("what_you_pay")),
        rx.el.div(
            rx.cond(state.refusal & (state.preview.length() > 0), banner("warn", state.refusal), rx.fragment()),
            rx.cond(
                state.needs_profile,
                asks_profile("profile"),
                rx.cond(state.preview.length() > 0, shown, refused),
            ),
            aria_live="polite",
            class_name="stack",
        ),
        class_name="card bill-card",
    )  # fmt: skip


def own_words(name: str, **values: Any) -> Any:
    """What is said to whoever chooses and pays."""
    return t(f"choose.{name}", **values)


def choosing(
    state: State,
    title: Any,
    back: rx.Component,
    *,
    profile: Any,
    words: Words = own_words,
    terms: Part | None = None,
    accepts: Part | None = None,
) -> Drawn:
    """The page: what there is to choose, with `terms` below it, beside what it comes to. `profile` is where it is said
    to whom invoices are addressed; `accepts` says what agreeing accepts."""
    chosen = rx.el.div(_choice(state), *([terms] if terms is not None else []), class_name="stack")
    bill = _bill(state, words, profile, accepts if accepts is not None else rx.fragment())
    content = rx.el.div(chosen, bill, class_name="checkout")
    nothing = empty_state(t("offers.none"), words("no_plans"), icon_name="tags")
    return [
        rx.el.p(back, class_name="back-link"),
        page_header(title, text=words("text")),
        in_its_state(
            state,
            rx.cond(state.plans.length() > 0, content, nothing),
            loading=skeleton(lines=10, label=t("choose.loading")),
            retry=state.load,
        ),
    ]
