"""Plans on sale, to compare."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import badge
from components.feedback.states import empty_state, skeleton
from components.links import button_link, link
from components.props import Text
from components.shell.page import page_header, section
from components.texts import t
from matrix_app.pages import plan_prices
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.plans import PlansOnSaleState

Row = rx.Var[dict[str, Any]]


def _choice(label: Text, row: Row) -> rx.Component:
    href = row["href"].to(str)
    chosen = link(label, href=href, class_name="button primary", aria_current="true")
    return rx.fragment(rx.cond(row["chosen"], chosen, button_link(label, href=href)), key=row["id"].to(str))


def _choices() -> rx.Component:
    """Switches between the currencies and the intervals there are; addresses, so Back undoes them."""
    currencies = rx.foreach(PlansOnSaleState.currencies, lambda row: _choice(row["id"].to(str), row))
    intervals = rx.foreach(
        PlansOnSaleState.intervals,
        lambda row: _choice(plan_prices.every(row["interval"], row["count"]), row),
    )
    return rx.el.div(
        rx.el.div(currencies, class_name="row", role="group", aria_label=t("offers.currency")),
        rx.el.div(intervals, class_name="row", role="group", aria_label=t("offers.interval")),
        class_name="row row-between",
    )


def _charge(row: rx.Var[Any]) -> rx.Component:
    often = plan_prices.every(row["interval"], row["interval_count"])
    return rx.fragment(
        rx.el.dt(row["name"].to(str), " ", rx.el.span(often, class_name="small muted")),
        rx.el.dd(plan_prices.lines(row)),
        key=row["id"].to(str),
    )


def _entitlement(row: rx.Var[Any]) -> rx.Component:
    return rx.fragment(
        rx.el.dt(row["name"].to(str)), rx.el.dd(plan_prices.entitlement(row)), key=row["key"].to(str)
    )


def _card(plan: rx.Var[dict[str, Any]]) -> rx.Component:
    charges = rx.el.dl(rx.foreach(plan["charges"].to(list[dict[str, Any]]), _charge), class_name="facts")
    gives = plan["entitlements"].to(list[dict[str, Any]])
    trial = plan["trial_days"].to(int)
    return rx.el.article(
        rx.el.header(
            rx.el.h3(plan["name"].to(str)),
            rx.cond(trial > 0, badge(t("offers.trial", count=trial), "info"), rx.fragment()),
        ),
        rx.el.p(plan["description"].to(str), class_name="muted"),
        rx.cond(plan["sold"], charges, rx.el.p(t("offers.not_sold"), class_name="muted")),
        rx.cond(
            gives.length() > 0,
            rx.el.dl(rx.foreach(gives, _entitlement), class_name="facts"),
            rx.fragment(),
        ),
        class_name="card",
        key=plan["id"].to(str),
    )


def _cards(rows: rx.Var[list[dict[str, Any]]]) -> rx.Component:
    return rx.el.div(rx.foreach(rows, _card), class_name="grid-halves")


@page(
    "/portal/plans",
    console=Console.PORTAL,
    title="offers.title",
    needs=Capability.PLANS_READ,
    on_load=PlansOnSaleState.load,
)
def plans() -> Drawn:
    """A card a plan, in one currency and for one interval."""
    addons = section(t("offers.addons"), _cards(PlansOnSaleState.addons))
    content = rx.cond(
        PlansOnSaleState.plans.length() > 0,
        rx.fragment(
            _choices(),
            section(t("offers.title"), _cards(PlansOnSaleState.plans)),
            rx.cond(PlansOnSaleState.addons.length() > 0, addons, rx.fragment()),
        ),
        empty_state(
            t("offers.none"),
            t("offers.none_text"),
            icon_name="tags",
            action=button_link(t("offers.models"), href="/portal/models"),
        ),
    )
    return [
        page_header(t("offers.title"), text=t("offers.text")),
        in_its_state(
            PlansOnSaleState,
            content,
            loading=skeleton(lines=8, label=t("offers.loading")),
            retry=PlansOnSaleState.load,
        ),
    ]
