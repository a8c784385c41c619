"""The organisation's subscriptions, and one with what can be done to it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import banner, skeleton
from components.format.values import money, when
from components.forms.fields import Option, radios, select, text_area, text_field
from components.forms.form import action_button, form, rest_form, submit_button
from components.kit.overlays import MenuEntry, dialog, dialog_close, dialog_foot, icon_button, menu
from components.links import button_link, link
from components.live.figures import live_refresh
from components.props import Drawn as Part
from components.shell.page import page_header, section
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import endpoints, subscription_papers
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.portal.choosing import comes_next, documents
from matrix_app.pages.registry import Console, Drawn, page
from models.subscriptions import CancelReason
from models.subscriptions import SubscriptionState as States
from services.core.permissions import Capability
from services.subscriptions.subscriptions import COMMENT_CHARACTERS_MAX
from state.portal.choosing import HOME
from state.portal.subscriptions import SubscriptionsState, SubscriptionState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.SUBSCRIPTIONS_WRITE.value)
USED_FOLLOWED_MS = 10_000  # between two readings while it is used without end: each counts the period again
_S = SubscriptionState
_ROW = SubscriptionState.subscription
_URL = f"{endpoints.SUBSCRIPTIONS}/{_ROW['id'].to(str)}"
_CHANGE = f"{HOME}/{_ROW['id'].to(str)}/change"


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


def _comes_to() -> rx.Component:
    """What the act that is asked about would come to."""
    return rx.cond(
        _S.documents.length() > 0,
        rx.el.div(documents(_S.documents), comes_next(_S.preview), class_name="stack"),
        rx.fragment(),
    )


def _act(
    name: str,
    *fields: Part,
    url: Any,
    done: str,
    text: str = "",
    verb: str = "",
    way_out: str = "",
    danger: bool = False,
    extra: dict[str, Any] | None = None,
    method: Any = "POST",
    title: Any = None,
    opened: Any = None,
) -> rx.Component:
    """The dialog that asks about one act, shows what it comes to, and sends it."""
    words = t(f"subscription.{verb or name}")
    return dialog(
        rest_form(
            f"subscription-{name}",
            *fields,
            dialog_foot(
                dialog_close(t(f"subscription.{way_out}") if way_out else None),
                submit_button(words, look="primary danger" if danger else "primary"),
            ),
            url=url,
            method=method,
            extra=extra,
            done_text=t(f"subscription.{done}"),
            on_done=_S.changed,
        ),
        title=title if title is not None else t(f"subscription.{name}"),
        description=t(f"subscription.{text}") if text else None,
        open=opened if opened is not None else _S.asking == name,
        on_open_change=_S.dismiss,
    )


def _agreed() -> dict[str, Any]:
    return {"at": _S.preview["at"].to(str), "agreed_minor": _S.preview["total_minor"].to(int)}


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


def _cancel() -> rx.Component:
    """Reason, time, and a last offer that is not in the way."""
    can_pause = (_ROW["state"] == States.ACTIVE.value) | (_ROW["state"] == States.PAST_DUE.value)
    offer = rx.el.div(
        rx.cond(_S.offer.contains("coupon"), _stay(), rx.el.p(t("subscription.offer"))),
        rx.el.div(
            rx.cond(
                can_pause,
                action_button(t("subscription.offer_pause"), on_press=_S.ask("pause")),
                rx.fragment(),
            ),
            button_link(t("subscription.offer_plans"), href=_CHANGE),
            class_name="row",
        ),
        class_name="banner tone-info stack",
    )
    return _act(
        "cancel",
        offer,
        radios(
            "at_once",
            t("subscription.when"),
            [Option("false", t("subscription.at_period_end")), Option("true", t("subscription.at_once"))],
            value="false",
        ),
        select(
            "reason",
            t("subscription.why"),
            [Option(name, words) for name, words in subscription_papers.reasons()],
            value=CancelReason.OTHER.value,
        ),
        text_area(
            "comment",
            t("subscription.comment"),
            hint=t("subscription.comment_hint"),
            required=False,
            rows=3,
            max_length=COMMENT_CHARACTERS_MAX,
        ),
        rx.el.details(
            rx.el.summary(t("subscription.comes_to_at_once")), _comes_to(), class_name="why"
        ),
        url=f"{_URL}/cancel",
        done="cancelled",
        verb="cancel_verb",
        way_out="keep",
        danger=True,
        extra={"at": _S.preview["at"].to(str)},
        title=t("subscription.cancel_title", plan=_ROW["name"].to(str)),
    )  # fmt: skip


def _dialogs() -> list[rx.Component]:
    return [
        _cancel(),
        _act(
            "pause",
            text_field("resume_at", t("subscription.resume_on"), kind="datetime-local", required=False),
            _comes_to(),
            url=f"{_URL}/pause",
            done="paused",
            text="pause_text",
            extra=_agreed(),
        ),
        _act(
            "resume", _comes_to(), url=f"{_URL}/resume", done="resumed", text="resume_text", extra=_agreed()
        ),
        _act("reactivate", url=f"{_URL}/reactivate", done="reactivated", text="reactivate_text"),
        _act(
            "undo",
            url=f"{_URL}/scheduled-change",
            done="undone",
            text="undo_text",
            method="DELETE",
        ),
        _add_coupon(),
        _act(
            "remove",
            url=f"{_URL}/coupons/{_S.coupon_id}",
            done="removed",
            text="remove_text",
            verb="remove_verb",
            method="DELETE",
            title=t("subscription.remove_coupon", code=_S.coupon_code),
            opened=_S.coupon_id != "",
        ),
    ]


def _add_coupon() -> rx.Component:
    """A code, what the next invoice is with it, and taking it."""
    asked = form(
        "subscription-coupon",
        rx.el.div(
            text_field(
                "coupon", t("subscription.coupon"), value=_S.coupon, max_length=64, autocomplete="off"
            ),
            submit_button(t("subscription.look_at_coupon"), look=""),
            class_name="field-with-button",
        ),
        on_submit=_S.look_at_coupon,
        errors=_S.coupon_errors,
    )
    taken = rest_form(
        "subscription-add_coupon",
        dialog_foot(dialog_close(), submit_button(t("subscription.add_coupon"), look="primary")),
        url=f"{_URL}/coupons",
        method="POST",
        extra={"coupon": _S.coupon},
        done_text=t("subscription.coupon_added"),
        on_done=_S.changed,
    )
    looked_at = rx.fragment(documents(_S.documents), taken)
    return dialog(
        asked,
        rx.cond(_S.preview.length() > 0, looked_at, dialog_foot(dialog_close())),
        title=t("subscription.add_coupon"),
        open=_S.asking == "add_coupon",
        on_open_change=_S.dismiss,
    )


def _acts() -> rx.Component:
    change = button_link(t("subscription.change"), href=_CHANGE, look="primary", icon_name="pencil")
    pause = MenuEntry("pause", t("subscription.pause"), "circle-minus")
    cancel = MenuEntry("cancel", t("subscription.cancel"), "ban", danger=True)

    def more(*entries: MenuEntry) -> rx.Component:
        return menu(t("subscription.acts"), entries, on_action=_S.ask, show_label=True, look="")

    def press(name: str, symbol: str) -> rx.Component:
        return action_button(t(f"subscription.{name}"), on_press=_S.ask(name), look="primary", icon=symbol)

    running = rx.fragment(change, more(pause, cancel))
    offered = rx.match(
        _ROW["state"],
        (States.TRIALING.value, rx.fragment(change, more(cancel))),
        (States.ACTIVE.value, running),
        (States.PAST_DUE.value, running),
        (States.PAUSED.value, rx.fragment(press("resume", "refresh-cw"), more(cancel))),
        (States.CANCELED.value, press("reactivate", "rotate-ccw")),
        (States.INCOMPLETE.value, more(cancel)),
        rx.fragment(),
    )
    return rx.cond(MAY_WRITE, rx.el.div(offered, class_name="row"), rx.fragment())


def _scheduled() -> rx.Component:
    plan, by_staff = _ROW["scheduled_name"].to(str), _ROW["scheduled_by_staff"].to(bool)
    text = rx.cond(
        by_staff,
        t("subscription.moved_to", plan=plan),
        t("subscription.scheduled_to", plan=plan),
    )
    costs = rx.el.p(
        money(_ROW["scheduled_amount"], _ROW["currency"].to(str)), " ", t("subscription.moved_amount")
    )
    may = MAY_WRITE & ~by_staff
    undo = rx.cond(may, action_button(t("subscription.undo"), on_press=_S.ask("undo")), rx.fragment())
    shown = rx.el.div(
        rx.el.p(text, " ", when(_ROW["scheduled_at"], zone=SessionState.zone)),
        rx.cond(by_staff, costs, rx.fragment()),
        undo,
        class_name="banner tone-info",
    )
    return rx.cond(_ROW["scheduled_at"], shown, rx.fragment())


def _unpaid() -> rx.Component:
    """That it begins once its first invoice is paid, and until when that may be."""
    shown = rx.el.div(
        rx.el.p(t("subscription.pay_first"), " ", when(_ROW["pay_until"], zone=SessionState.zone)),
        button_link(t("subscription.to_invoices"), href="/portal/invoices"),
        class_name="banner tone-warn",
    )
    return rx.cond(_ROW["state"] == States.INCOMPLETE.value, shown, rx.fragment())


def _formulas(row: Any) -> rx.Component:
    return rx.el.ul(
        rx.foreach(row["formulas"].to(list[str]), lambda one: rx.el.li(one)), class_name="plain-list"
    )


USED = Table(
    "used",
    "subscription.used",
    columns=(
        Column("name", "subscription.item", row_header=True),
        Column("since", "subscription.used_since", kind="date"),
        Column("quantity", "subscription.quantity", kind="number"),
        Column("formulas", "subscription.used_formula", draw=_formulas),
        Column("amount", "subscription.used_amount", kind="money", currency="currency", brief=True),
        Column("bills_at", "subscription.used_bills_at", kind="date"),
    ),
)


def _used() -> rx.Component:
    """What metered prices come to so far; it grows while it is looked at."""
    shown = rx.fragment(
        section(t("subscription.used"), data_table(USED, _S.used, zone=SessionState.zone)),
        live_refresh(
            "overview", path="month", since=_S.read_at, on_change=_S.follow, longest_wait_ms=USED_FOLLOWED_MS
        ),
    )
    return rx.cond(_S.used.length() > 0, shown, rx.fragment())


def _of_coupon(row: Any) -> rx.Component:
    name = t("subscription.remove_coupon", code=row["code"].to(str))
    remove = icon_button(name, "x", on_press=_S.ask_off(row["id"].to(str)))
    return rx.cond(MAY_WRITE, remove, rx.fragment())


@page(
    "/portal/subscriptions/[subscription_id]",
    console=Console.PORTAL,
    title="subscription.title",
    needs=Capability.SUBSCRIPTIONS_READ,
    on_load=SubscriptionState.load,
)
def subscription() -> Drawn:
    """One subscription: what it is, what comes next, and what can be done."""
    changes = rx.match(
        _ROW["state"],
        *[(one.value, True) for one in (States.TRIALING, States.ACTIVE, States.PAST_DUE)],
        False,
    )
    add = rx.cond(
        MAY_WRITE & changes.to(bool),
        action_button(t("subscription.add_coupon"), on_press=_S.ask("add_coupon"), icon="plus"),
        rx.fragment(),
    )
    content = rx.fragment(
        rx.cond(_S.just_done, banner("ok", t("subscription.done")), rx.fragment()),
        subscription_papers.parked(_ROW),
        _unpaid(),
        _scheduled(),
        subscription_papers.head(_ROW, staff=False),
        _used(),
        subscription_papers.tables(_S, add=add, of_coupon=_of_coupon),
        rx.cond(MAY_WRITE, rx.fragment(*_dialogs()), rx.fragment()),
    )
    return [
        rx.el.p(link(t("subscription.back"), href=HOME), class_name="back-link"),
        page_header(rx.cond(_ROW["name"], _ROW["name"].to(str), t("subscription.title")), _acts()),
        in_its_state(_S, content, loading=skeleton(lines=10, label=t("subscription.loading")), retry=_S.load),
        subscription_papers.follows(_S, _S.follow, staff=False),
    ]
