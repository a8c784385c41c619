"""Subscriptions of all organisations, as staff sees and ends them."""

from __future__ import annotations

import reflex as rx

from components.feedback.states import skeleton
from components.forms.fields import Option, radios, select, text_area
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import dialog, dialog_close, dialog_foot
from components.links import link
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages import endpoints, subscription_papers
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from models.subscriptions import CancelReason
from models.subscriptions import SubscriptionState as States
from services.core.permissions import Capability
from services.subscriptions.subscriptions import COMMENT_CHARACTERS_MAX
from state.governance.subscriptions import HOME, StaffSubscriptionsState, StaffSubscriptionState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_SUBSCRIPTIONS_WRITE.value)
_MAY_END = (States.INCOMPLETE, States.TRIALING, States.ACTIVE, States.PAST_DUE, States.PAUSED)
_S = StaffSubscriptionState
_ROW = StaffSubscriptionState.subscription


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


def _cancel() -> rx.Component:
    ask = action_button(t("subscription.cancel"), on_press=_S.ask("cancel"), look="danger", icon="ban")
    times = [Option("false", t("subscription.at_period_end")), Option("true", t("subscription.at_once"))]
    asked = dialog(
        rest_form(
            "cancel-subscription",
            radios("at_once", t("subscription.when"), times, value="false"),
            select(
                "reason",
                t("subscription.reason"),
                [Option(name, words) for name, words in subscription_papers.reasons()],
                value=CancelReason.OTHER.value,
            ),
            text_area(
                "comment",
                t("subscription.comment"),
                required=False,
                rows=3,
                max_length=COMMENT_CHARACTERS_MAX,
            ),
            dialog_foot(
                dialog_close(t("subscription.keep")),
                submit_button(t("subscription.cancel_verb"), look="primary danger"),
            ),
            url=f"{endpoints.STAFF_SUBSCRIPTIONS}/{_ROW['id'].to(str)}/cancel",
            done_text=t("subscription.cancelled"),
            on_done=_S.changed,
        ),
        title=t("subscription.cancel_title", plan=_ROW["name"].to(str)),
        open=_S.asking == "cancel",
        on_open_change=_S.dismiss,
    )
    can = rx.match(
        _ROW["state"],
        *[(one.value, True) for one in _MAY_END],
        False,
    )
    return rx.cond(MAY_WRITE & can.to(bool), rx.fragment(ask, asked), rx.fragment())


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
        subscription_papers.parked(_ROW),
        subscription_papers.head(_ROW, staff=True),
        subscription_papers.tables(_S),
    )
    return [
        rx.el.p(link(t("subscription.back"), href=HOME), class_name="back-link"),
        page_header(rx.cond(_ROW["name"], _ROW["name"].to(str), t("subscription.title")), _cancel()),
        in_its_state(_S, content, loading=skeleton(lines=10, label=t("subscription.loading")), retry=_S.load),
        subscription_papers.follows(_S, _S.follow, staff=True),
    ]
