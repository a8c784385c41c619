"""Choosing a plan for one's own organisation, to begin a subscription or to change one."""

from __future__ import annotations

import reflex as rx

from components.links import link
from components.texts import t
from matrix_app.pages import plan_choosing
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.terms_line import terms_line
from models.terms import Occasion
from services.core.permissions import Capability
from state.portal.choosing import HOME, ChoiceState

PROFILE = "/portal/billing-profile"


def _choosing(title: str, back: rx.Component) -> Drawn:
    return plan_choosing.choosing(
        ChoiceState,
        t(title),
        back,
        profile=PROFILE,
        accepts=terms_line(ChoiceState.accepts, Occasion.SUBSCRIBING),
    )


@page(
    "/portal/subscriptions/[subscription_id]/change",
    console=Console.PORTAL,
    title="choose.change_title",
    needs=Capability.SUBSCRIPTIONS_WRITE,
    on_load=ChoiceState.load,
)
def change() -> Drawn:
    """Another plan, other numbers or add-ons for a subscription."""
    home = f"{HOME}/{ChoiceState.subscription['id'].to(str)}"
    return _choosing("choose.change_title", link(t("choose.back_subscription"), href=home))


@page(
    "/portal/subscribe",
    console=Console.PORTAL,
    title="choose.title",
    needs=Capability.SUBSCRIPTIONS_WRITE,
    on_load=ChoiceState.load,
)
def subscribe() -> Drawn:
    """A plan to begin with."""
    return _choosing("choose.title", link(t("choose.back"), href="/portal/plans"))
