"""Subscriptions of all organisations, as staff sees, changes and ends them."""

from __future__ import annotations

import reflex as rx

from components.feedback.states import skeleton
from components.links import link
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages import endpoints, subscription_acts, subscription_papers
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.subscription_acts import Desk
from services.core.permissions import Capability
from state.governance.subscriptions import HOME, StaffSubscriptionsState, StaffSubscriptionState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_SUBSCRIPTIONS_WRITE.value)
_S = StaffSubscriptionState
_ROW = StaffSubscriptionState.subscription
_DESK = Desk(
    _S,
    url=f"{endpoints.STAFF_SUBSCRIPTIONS}/{_ROW['id'].to(str)}",
    change=f"{HOME}/{_ROW['id'].to(str)}/change",
    may=MAY_WRITE,
    staff=True,
)


@page(
    "/governance/subscriptions",
    console=Console.GOVERNANCE,
    title="subscriptions.title",
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    on_load=StaffSubscriptionsState.load,
)
def staff_subscriptions() -> Drawn:
    """All subscriptions of the installation."""
    return subscription_papers.subscriptions(StaffSubscriptionsState, staff=True)


@page(
    "/governance/subscriptions/[subscription_id]",
    console=Console.GOVERNANCE,
    title="subscription.title",
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    on_load=StaffSubscriptionState.load,
)
def staff_subscription() -> Drawn:
    """One subscription of any organisation."""
    content = rx.fragment(
        subscription_papers.just_done(_S),
        subscription_papers.parked(_ROW),
        subscription_papers.unaddressed(_ROW, staff=True),
        subscription_papers.begins_later(_ROW),
        subscription_acts.scheduled(_DESK),
        subscription_papers.head(_ROW, staff=True),
        subscription_papers.used(_S),
        subscription_papers.tables(
            _S, add=subscription_acts.add_coupon(_DESK), of_coupon=subscription_acts.of_coupon(_DESK)
        ),
        subscription_acts.dialogs(_DESK),
    )
    title = rx.cond(_ROW["name"], _ROW["name"].to(str), t("subscription.title"))
    return [
        rx.el.p(link(t("subscription.back"), href=HOME), class_name="back-link"),
        page_header(title, subscription_acts.acts(_DESK)),
        in_its_state(_S, content, loading=skeleton(lines=10, label=t("subscription.loading")), retry=_S.load),
        subscription_papers.follows(_S, _S.follow, staff=True),
    ]
