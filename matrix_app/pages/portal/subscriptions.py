"""The organisation's subscriptions, and one with what can be done to it."""

from __future__ import annotations

import reflex as rx

from components.feedback.states import skeleton
from components.format.values import money, when
from components.forms.form import action_button
from components.links import button_link, link
from components.live.figures import live_refresh
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages import endpoints, subscription_acts, subscription_papers
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.subscription_acts import Desk
from models.subscriptions import SubscriptionState as States
from services.core.permissions import Capability
from state.portal.choosing import HOME
from state.portal.subscriptions import SubscriptionsState, SubscriptionState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.SUBSCRIPTIONS_WRITE.value)
USED_FOLLOWED_MS = 10_000  # between two readings while it is used without end: each counts the period again
_S = SubscriptionState
_ROW = SubscriptionState.subscription
_DESK = Desk(
    _S,
    url=f"{endpoints.SUBSCRIPTIONS}/{_ROW['id'].to(str)}",
    change=f"{HOME}/{_ROW['id'].to(str)}/change",
    may=MAY_WRITE,
)


@page(
    "/portal/subscriptions",
    console=Console.PORTAL,
    title="subscriptions.title",
    needs=Capability.SUBSCRIPTIONS_READ,
    on_load=SubscriptionsState.load,
)
def subscriptions() -> Drawn:
    """All subscriptions of the organisation."""
    return subscription_papers.subscriptions(SubscriptionsState, staff=False)


def _stay() -> rx.Component:
    """What the plan offers to whoever stays, with what it saves."""
    offer = _S.offer
    currency = offer["currency"].to(str)
    lasts = rx.match(
        offer["duration"],
        ("once", t("subscription.stay_once")),
        ("forever", t("subscription.stay_forever")),
        t("subscription.stay_periods", count=offer["periods"].to(int)),
    )
    return rx.fragment(
        rx.cond(offer["text"], rx.el.p(offer["text"].to(str)), rx.fragment()),
        rx.el.p(
            t("subscription.stay_costs"), " ", money(offer["after"], currency), " ",
            t("subscription.stay_instead"), " ", money(offer["before"], currency), ": ",
            rx.el.strong(t("subscription.stay_saves"), " ", money(offer["saves"], currency)), ". ", lasts,
        ),
        action_button(t("subscription.stay"), on_press=_S.stay, look="primary", icon="check"),
    )  # fmt: skip


def _offer() -> rx.Component:
    """What is said to whoever cancels: a coupon if there is one, a pause, a smaller plan."""
    can_pause = (_ROW["state"] == States.ACTIVE.value) | (_ROW["state"] == States.PAST_DUE.value)
    return rx.el.div(
        rx.cond(_S.offer.contains("coupon"), _stay(), rx.el.p(t("subscription.offer"))),
        rx.el.div(
            rx.cond(
                can_pause,
                action_button(t("subscription.offer_pause"), on_press=_S.ask("pause")),
                rx.fragment(),
            ),
            button_link(t("subscription.offer_plans"), href=_DESK.change),
            class_name="row",
        ),
        class_name="banner tone-info stack",
    )


def _unpaid() -> rx.Component:
    """That it begins once its first invoice is paid, and until when that may be."""
    shown = rx.el.div(
        rx.el.p(t("subscription.pay_first"), " ", when(_ROW["pay_until"], zone=SessionState.zone)),
        button_link(t("subscription.to_invoices"), href="/portal/invoices"),
        class_name="banner tone-warn",
    )
    return rx.cond(_ROW["state"] == States.INCOMPLETE.value, shown, rx.fragment())


def _follows_use() -> rx.Component:
    """What is used grows while it is looked at."""
    grows = live_refresh(
        "overview", path="month", since=_S.read_at, on_change=_S.follow, longest_wait_ms=USED_FOLLOWED_MS
    )
    return rx.cond(_S.used.length() > 0, grows, rx.fragment())


@page(
    "/portal/subscriptions/[subscription_id]",
    console=Console.PORTAL,
    title="subscription.title",
    needs=Capability.SUBSCRIPTIONS_READ,
    on_load=SubscriptionState.load,
)
def subscription() -> Drawn:
    """One subscription: what it is, what comes next, and what can be done."""
    content = rx.fragment(
        subscription_papers.just_done(_S),
        subscription_papers.parked(_ROW),
        subscription_papers.unaddressed(_ROW, staff=False),
        subscription_papers.begins_later(_ROW),
        _unpaid(),
        subscription_acts.scheduled(_DESK),
        subscription_papers.head(_ROW, staff=False),
        subscription_papers.used(_S),
        _follows_use(),
        subscription_papers.tables(
            _S, add=subscription_acts.add_coupon(_DESK), of_coupon=subscription_acts.of_coupon(_DESK)
        ),
        subscription_acts.dialogs(_DESK, offer=_offer()),
    )
    title = rx.cond(_ROW["name"], _ROW["name"].to(str), t("subscription.title"))
    return [
        rx.el.p(link(t("subscription.back"), href=HOME), class_name="back-link"),
        page_header(title, subscription_acts.acts(_DESK)),
        in_its_state(_S, content, loading=skeleton(lines=10, label=t("subscription.loading")), retry=_S.load),
        subscription_papers.follows(_S, _S.follow, staff=False),
    ]
