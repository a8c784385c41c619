"""Choosing a plan for a customer: to begin a subscription by other terms, or to change one."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.forms.fields import Option, number_field, select, text_field
from components.forms.form import form, form_foot, submit_button
from components.links import link
from components.props import Drawn as Part
from components.shell.page import card
from components.texts import t
from matrix_app.pages import plan_choosing
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.subscription_acts import collections, payment_days
from models.types import ProrationBehaviour
from services.catalog.plan_rules import TRIAL_DAYS_MAX
from services.core.permissions import Capability
from state.governance.choosing import OF_CHANGE, OF_START, StaffChoiceState
from state.governance.subscriptions import HOME

_S = StaffChoiceState
_NAME = _S.organization["name"].to(str)
_WHOSE = f"/governance/organizations/{_S.organization['id'].to(str)}"


def _words(name: str, **values: Any) -> Any:
    return t(f"choose.staff.{name}", **(values if name == "agree" else {}))


def _terms(*fields: Part) -> rx.Component:
    return card(
        form(
            "terms",
            *fields,
            form_foot(submit_button(t("choose.terms_apply"), look="")),
            on_submit=_S.apply_terms,
            seen={name: rx.cond(_S.terms[name], _S.terms[name], "") for name in (*OF_START, *OF_CHANGE)},
            errors=_S.term_errors,
        ),
        title=t("choose.terms"),
    )


def _choosing(title: Any, back: rx.Component, terms: Part) -> Drawn:
    return plan_choosing.choosing(_S, title, back, profile=_WHOSE, words=_words, terms=terms)


@page(
    "/governance/organizations/[organization_id]/subscribe",
    console=Console.GOVERNANCE,
    title="choose.title",
    needs=Capability.STAFF_SUBSCRIPTIONS_WRITE,
    on_load=StaffChoiceState.load,
)
def subscribe() -> Drawn:
    """A subscription for a customer, also from a day in the past on."""
    terms = _terms(
        text_field(
            "started_at",
            t("choose.started_at"),
            kind="datetime-local",
            hint=t("choose.started_at_hint"),
            required=False,
        ),
        number_field(
            "trial_days",
            t("choose.trial_days"),
            hint=t("choose.trial_days_hint"),
            required=False,
            min=0,
            max=TRIAL_DAYS_MAX,
            step=1,
        ),
        text_field(
            "anchor",
            t("choose.anchor"),
            kind="datetime-local",
            hint=t("choose.anchor_hint"),
            required=False,
        ),
        select("collection", t("subscription.collection"), collections(), value="", required=False),
        payment_days(),
    )
    title = rx.cond(_NAME, t("choose.staff.title", name=_NAME), t("choose.title"))
    version = select(
        "version",
        t("choose.version"),
        _S.versions.to(list[dict[str, str]]),
        hint=t("choose.version_hint"),
        value=rx.cond(_S.version, _S.version, _S.versions[0]["id"]),
        on_change=lambda number: _S.choose_version(number.to(str)),
    )
    terms = rx.fragment(rx.cond(_S.versions.length() > 1, card(version), rx.fragment()), terms)
    return _choosing(title, link(t("choose.staff.back"), href=_WHOSE), terms)


@page(
    "/governance/subscriptions/[subscription_id]/change",
    console=Console.GOVERNANCE,
    title="choose.change_title",
    needs=Capability.STAFF_SUBSCRIPTIONS_WRITE,
    on_load=StaffChoiceState.load,
)
def change() -> Drawn:
    """Another plan, other numbers or add-ons for a customer's subscription, billed in any of the ways there are."""
    ways = ["", *(one.value for one in ProrationBehaviour)]
    behaviour = select(
        "behaviour",
        t("choose.behaviour"),
        [Option(one, t(f"choose.behaviour_of.{one or 'usual'}")) for one in ways],
        value="",
        required=False,
    )
    plan = _S.subscription["name"].to(str)
    title = rx.cond(
        plan & _NAME, t("choose.staff.change_title", plan=plan, name=_NAME), t("choose.change_title")
    )
    home = f"{HOME}/{_S.subscription['id'].to(str)}"
    return _choosing(title, link(t("choose.back_subscription"), href=home), _terms(behaviour))
