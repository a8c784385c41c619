"""What is done to one subscription, in the portal and in the governance console: asked about with what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import reflex as rx

from components.feedback.states import banner
from components.format.values import money, when
from components.forms.fields import Option, checkbox, number_field, radios, select, text_area, text_field
from components.forms.form import action_button, form, rest_form, submit_button
from components.kit.overlays import MenuEntry, dialog, dialog_close, dialog_foot, icon_button, menu
from components.links import button_link
from components.props import Drawn as Part
from components.texts import t
from matrix_app.pages import subscription_papers
from matrix_app.pages.previews import comes_next, documents
from models.subscriptions import CancelReason, Collection
from models.subscriptions import SubscriptionState as States
from services.subscriptions.payment_terms import PAYMENT_DAYS_MAX
from services.subscriptions.subscriptions import COMMENT_CHARACTERS_MAX
from state.session import SessionState

COLLECTIONS = tuple(one.value for one in Collection)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where acts are done: the page's `state`, a SubscriptionOnScreen, the address of the subscription in the API, that
    of the page on which it is changed, and who `may` act."""

    state: Any
    url: Any
    change: Any
    may: rx.Var[bool]
    staff: bool = False


def _comes_to(desk: Desk) -> rx.Component:
    """What the act that is asked about would come to."""
    seen = rx.el.div(documents(desk.state.documents), comes_next(desk.state.preview), class_name="stack")
    return rx.el.div(
        rx.cond(desk.state.refusal, banner("warn", desk.state.refusal), rx.fragment()),
        rx.cond(desk.state.preview.length() > 0, seen, rx.fragment()),
        aria_live="polite",
    )


def _act(
    desk: Desk,
    name: str,
    *fields: Part,
    path: str,
    done: str,
    text: str = "",
    verb: str = "",
    way_out: str = "",
    danger: bool = False,
    extra: dict[str, Any] | None = None,
    method: Any = "POST",
    title: Any = None,
    opened: Any = None,
    on_settled: Any = None,
    agrees: Any = None,
) -> rx.Component:
    """The dialog that asks about one act, shows what it comes to, and sends it."""
    words = t(f"subscription.{verb or name}")
    return dialog(
        rest_form(
            f"subscription-{name}",
            *fields,
            dialog_foot(
                dialog_close(t(f"subscription.{way_out}") if way_out else None),
                submit_button(words, look="primary danger" if danger else "primary", agrees=agrees),
            ),
            url=f"{desk.url}/{path}",
            method=method,
            extra=extra,
            done_text=t(f"subscription.{done}"),
            on_done=desk.state.changed,
            on_settled=on_settled,
            seen=desk.state.weighed if on_settled is not None else None,
        ),
        title=title if title is not None else t(f"subscription.{name}"),
        description=t(f"subscription.{text}") if text else None,
        open=opened if opened is not None else desk.state.asking == name,
        on_open_change=desk.state.dismiss,
    )


def _agreed(desk: Desk) -> dict[str, Any]:
    return {"at": desk.state.preview["at"], "agreed_minor": desk.state.preview["total_minor"]}


def _is_shown(desk: Desk) -> Any:
    return desk.state.preview.length() > 0


def _cancel(desk: Desk, offer: Part | None) -> rx.Component:
    """Reason, time, and a last offer that is not in the way."""
    times = [
        Option("false", t("subscription.at_period_end")),
        Option("true", t("subscription.at_once")),
    ]
    staff = [
        text_field(
            "cancel_at",
            t("subscription.cancel_on"),
            kind="datetime-local",
            hint=t("subscription.cancel_on_hint"),
            required=False,
        ),
        checkbox(
            "credits_unused",
            t("subscription.credits_unused"),
            hint=t("subscription.credits_unused_hint"),
            value=True,
        ),
    ]
    return _act(
        desk,
        "cancel",
        offer if offer is not None else rx.fragment(),
        radios("at_once", t("subscription.when"), times, value="false"),
        *(staff if desk.staff else []),
        select(
            "reason",
            t("subscription.reason" if desk.staff else "subscription.why"),
            [Option(name, words) for name, words in subscription_papers.reasons()],
            value=CancelReason.OTHER.value,
        ),
        text_area(
            "comment",
            t("subscription.comment"),
            hint=None if desk.staff else t("subscription.comment_hint"),
            required=False,
            rows=3,
            max_length=COMMENT_CHARACTERS_MAX,
        ),
        _comes_to(desk),
        path="cancel",
        done="cancelled",
        verb="cancel_verb",
        way_out="keep",
        danger=True,
        extra=_agreed(desk),
        agrees=_is_shown(desk),
        title=t("subscription.cancel_title", plan=desk.state.subscription["name"].to(str)),
        on_settled=desk.state.weigh,
    )


def _add_coupon(desk: Desk) -> rx.Component:
    """A code, what the next invoice is with it, and taking it."""
    state = desk.state
    asked = form(
        "subscription-coupon",
        rx.el.div(
            text_field(
                "coupon", t("subscription.coupon"), value=state.coupon, max_length=64, autocomplete="off"
            ),
            submit_button(t("subscription.look_at_coupon"), look=""),
            class_name="field-with-button",
        ),
        on_submit=state.look_at_coupon,
        seen={"coupon": state.coupon},
        errors=state.coupon_errors,
    )
    taken = rest_form(
        "subscription-add_coupon",
        dialog_foot(dialog_close(), submit_button(t("subscription.add_coupon"), agrees=True)),
        url=f"{desk.url}/coupons",
        method="POST",
        extra={"coupon": state.coupon},
        done_text=t("subscription.coupon_added"),
        on_done=state.changed,
    )
    looked_at = rx.fragment(documents(state.documents), taken)
    return dialog(
        asked,
        rx.cond(state.preview.length() > 0, looked_at, dialog_foot(dialog_close())),
        title=t("subscription.add_coupon"),
        open=state.asking == "add_coupon",
        on_open_change=state.dismiss,
    )


def collections() -> list[Option]:
    """The ways in which invoices are paid; nothing is as for customers."""
    return [Option(one, t(f"subscription.collection_of.{one or 'usual'}")) for one in ("", *COLLECTIONS)]


def payment_days(**given: Any) -> rx.Component:
    return number_field(
        "payment_days",
        t("subscription.payment_days"),
        hint=t("subscription.payment_days_hint"),
        required=False,
        min=0,
        max=PAYMENT_DAYS_MAX,
        step=1,
        **given,
    )


def _collection(desk: Desk) -> rx.Component:
    row = desk.state.subscription
    ways = [Option(one, t(f"subscription.collection_of.{one}")) for one in COLLECTIONS]
    return _act(
        desk,
        "collect",
        radios("collection", t("subscription.collection"), ways, value=row["collection"].to(str)),
        payment_days(value=row["payment_days"].to(str)),
        path="collection",
        done="collected",
        text="collect_text",
        verb="collect_verb",
    )


def dialogs(desk: Desk, *, offer: Part | None = None) -> rx.Component:
    """One for each act. `offer` is shown to whoever cancels."""
    state = desk.state
    made = [
        _cancel(desk, offer),
        _act(
            desk,
            "pause",
            text_field("resume_at", t("subscription.resume_on"), kind="datetime-local", required=False),
            _comes_to(desk),
            path="pause",
            done="paused",
            text="pause_text",
            extra=_agreed(desk),
            agrees=_is_shown(desk),
        ),
        _act(
            desk,
            "resume",
            _comes_to(desk),
            path="resume",
            done="resumed",
            text="resume_text",
            extra=_agreed(desk),
            agrees=_is_shown(desk),
        ),
        _act(desk, "reactivate", path="reactivate", done="reactivated", text="reactivate_text"),
        _act(desk, "undo", path="scheduled-change", done="undone", text="undo_text", method="DELETE"),
        _add_coupon(desk),
        *([_collection(desk)] if desk.staff else []),
        _act(
            desk,
            "remove",
            path=f"coupons/{state.coupon_id}",
            done="removed",
            text="remove_text",
            verb="remove_verb",
            method="DELETE",
            title=t("subscription.remove_coupon", code=state.coupon_code),
            opened=state.coupon_id != "",
        ),
    ]
    return rx.cond(desk.may, rx.fragment(*made), rx.fragment())


def acts(desk: Desk) -> rx.Component:
    """What can be done in the state in which it is."""
    state = desk.state
    change = button_link(t("subscription.change"), href=desk.change, look="primary", icon_name="pencil")
    pause = MenuEntry("pause", t("subscription.pause"), "circle-minus")
    cancel = MenuEntry("cancel", t("subscription.cancel"), "ban", danger=True)
    collect = [MenuEntry("collect", t("subscription.collect"), "receipt")] if desk.staff else []

    def more(*entries: MenuEntry) -> rx.Component:
        return menu(
            t("subscription.acts"), [*collect, *entries], on_action=state.ask, show_label=True, look=""
        )

    def press(name: str, symbol: str) -> rx.Component:
        return action_button(t(f"subscription.{name}"), on_press=state.ask(name), look="primary", icon=symbol)

    running = rx.fragment(change, more(pause, cancel))
    offered = rx.match(
        state.subscription["state"],
        (States.TRIALING.value, rx.fragment(change, more(cancel))),
        (States.ACTIVE.value, running),
        (States.PAST_DUE.value, running),
        (States.PAUSED.value, rx.fragment(press("resume", "refresh-cw"), more(cancel))),
        (States.CANCELED.value, press("reactivate", "rotate-ccw")),
        (States.INCOMPLETE.value, more(cancel)),
        (States.SCHEDULED.value, more(cancel)),
        rx.fragment(),
    )
    return rx.cond(desk.may, rx.el.div(offered, class_name="row"), rx.fragment())


def scheduled(desk: Desk) -> rx.Component:
    """The change that waits, and the way to have it not come: what staff moves, only staff takes back."""
    row = desk.state.subscription
    plan, by_staff = row["scheduled_name"].to(str), row["scheduled_by_staff"].to(bool)
    text = rx.cond(
        row["scheduled_ends_first"].to(bool),
        t("subscription.scheduled_if_kept", plan=plan),
        rx.cond(by_staff, t("subscription.moved_to", plan=plan), t("subscription.scheduled_to", plan=plan)),
    )
    costs = rx.el.p(
        money(row["scheduled_amount"], row["currency"].to(str)), " ", t("subscription.moved_amount")
    )
    may = desk.may if desk.staff else desk.may & ~by_staff
    undo = action_button(t("subscription.undo"), on_press=desk.state.ask("undo"))
    shown = rx.el.div(
        rx.el.p(text, " ", when(row["scheduled_at"], zone=SessionState.zone)),
        rx.cond(by_staff, costs, rx.fragment()),
        rx.cond(may, undo, rx.fragment()),
        class_name="banner tone-info",
    )
    return rx.cond(row["scheduled_at"], shown, rx.fragment())


def add_coupon(desk: Desk) -> rx.Component:
    """The way to another coupon, where one can be taken."""
    changes = rx.match(
        desk.state.subscription["state"],
        *[(one.value, True) for one in (States.TRIALING, States.ACTIVE, States.PAST_DUE)],
        False,
    )
    begin = action_button(t("subscription.add_coupon"), on_press=desk.state.ask("add_coupon"), icon="plus")
    return rx.cond(desk.may & changes.to(bool), begin, rx.fragment())


def of_coupon(desk: Desk) -> Any:
    """What can be done to each coupon."""

    def remove(row: Any) -> rx.Component:
        name = t("subscription.remove_coupon", code=row["code"].to(str))
        press = icon_button(name, "x", on_press=desk.state.ask_off(row["id"].to(str)))
        return rx.cond(desk.may, press, rx.fragment())

    return remove
