"""Plans on sale, to compare."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import badge
from components.feedback.states import empty_state, skeleton
from components.format.values import money
from components.links import button_link, link
from components.props import Text
from components.shell.page import page_header, section
from components.texts import t
from matrix_app.pages import plan_prices
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.plans import PlansOnSaleState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_CHOOSE = SessionState.capabilities.contains(Capability.SUBSCRIPTIONS_WRITE.value)


def _choice(label: Text, row: Row) -> rx.Component:
    href = row["href"].to(str)
    current = rx.cond(row["chosen"], "true", "false")
    return rx.fragment(
        link(label, href=href, class_name="segment", custom_attrs={"aria-current": current}),
        key=row["id"].to(str),
    )


def _choices() -> rx.Component:
    """Switches between the currencies and the intervals there are; addresses, so Back undoes them."""
    currencies = rx.foreach(PlansOnSaleState.currencies, lambda row: _choice(row["id"].to(str), row))
    intervals = rx.foreach(
        PlansOnSaleState.intervals,
        lambda row: _choice(plan_prices.every(row["interval"], row["count"]), row),
    )
    return rx.el.div(
        rx.el.div(currencies, class_name="segments", role="group", aria_label=t("offers.currency")),
        rx.el.div(intervals, class_name="segments", role="group", aria_label=t("offers.interval")),
        class_name="row row-between",
    )


def _charge(row: rx.Var[Any]) -> rx.Component:
    often = plan_prices.every(row["interval"], row["interval_count"])
    return rx.fragment(
        rx.el.dt(row["name"].to(str), " ", rx.el.span(often, class_name="small")),
        rx.el.dd(plan_prices.lines(row)),
        key=row["id"].to(str),
    )


def _entitlement(row: rx.Var[Any]) -> rx.Component:
    return rx.fragment(
        rx.el.dt(row["name"].to(str)), rx.el.dd(plan_prices.entitlement(row)), key=row["key"].to(str)
    )


def _big_price(plan: Any) -> rx.Component:
    often = plan_prices.every(plan["interval"], plan["interval_count"])
    amount = rx.fragment(
        money(plan["base"], plan["currency"].to(str)), " ", rx.el.span(often, class_name="figure-unit")
    )
    nothing = rx.cond(
        plan["charges"].to(list[dict[str, Any]]).length() > 0, t("offers.by_use"), t("offers.free")
    )
    with_tax = rx.el.p(t("price.with_tax"), class_name="small muted")
    return rx.fragment(
        rx.el.p(rx.cond(plan["base"] == "0", nothing, amount), class_name="big-price"),
        rx.cond(plan["with_tax"], with_tax, rx.fragment()),
    )


def _choose(plan: Any) -> rx.Component:
    """The way on from a card: for those who may choose."""
    name, href = plan["name"].to(str), plan["choose"].to(str)
    changing = rx.cond(plan["is_addon"], t("offers.add", plan=name), t("offers.change_to", plan=name))
    plain = rx.match(
        rx.cond(plan["had"], "had", rx.cond(plan["changes"], "change", "new")),
        ("had", button_link(t("offers.change_yours"), href=href)),
        ("change", button_link(changing, href=href, look="primary")),
        button_link(t("offers.choose", plan=name), href=href, look="primary"),
    )
    needs = rx.el.p(t("offers.needs_plan"), class_name="small muted")
    offered = rx.cond(plan["needs_plan"], needs, plain)
    return rx.cond(
        MAY_CHOOSE & plan["sold"].to(bool), rx.el.div(offered, class_name="card-foot"), rx.fragment()
    )


def _card(plan: rx.Var[dict[str, Any]]) -> rx.Component:
    rest = plan["charges"].to(list[dict[str, Any]])
    gives = plan["entitlements"].to(list[dict[str, Any]])
    trial = plan["trial_days"].to(int)
    had = badge(rx.cond(plan["is_addon"], t("offers.added"), t("offers.current")), "ok")
    facts = rx.el.dl(
        rx.cond(plan["sold"], rx.fragment(rx.foreach(rest, _charge)), rx.fragment()),
        rx.foreach(gives, _entitlement),
        class_name="facts",
    )
    return rx.el.article(
        rx.el.header(
            rx.el.h3(plan["name"].to(str)),
            rx.cond(
                plan["had"],
                had,
                rx.cond(trial > 0, badge(t("offers.trial", count=trial), "info"), rx.fragment()),
            ),
        ),
        rx.el.p(plan["description"].to(str), class_name="muted"),
        rx.cond(plan["sold"], _big_price(plan), rx.el.p(t("offers.not_sold"), class_name="muted")),
        rx.cond((rest.length() > 0) | (gives.length() > 0), facts, rx.fragment()),
        _choose(plan),
        class_name=rx.cond(plan["had"], "card plan-card is-chosen", "card plan-card"),
        key=plan["id"].to(str),
    )


def _cards(rows: rx.Var[list[dict[str, Any]]]) -> rx.Component:
    return rx.el.div(rx.foreach(rows, _card), class_name="grid-thirds")


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
            section(t("offers.to_choose"), _cards(PlansOnSaleState.plans)),
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
