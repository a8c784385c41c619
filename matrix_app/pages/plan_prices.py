"""Prices of plans in words, the same for those who build them and for those who compare them."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.format.values import price, value
from components.props import Drawn
from components.texts import t, texts_under
from models.types import BillingInterval

Row = rx.Var[dict[str, Any]]


def every(interval: rx.Var[Any], count: rx.Var[Any]) -> Any:
    """How often it is billed, as text: "a month", "every 3 months"; once for what has no interval."""
    words = [(name.value, t(f"price.every.{name.value}", count=count.to(int))) for name in BillingInterval]
    return rx.match(interval, *words, t("price.once"))


def kind(row: Row) -> Drawn:
    return rx.fragment(rx.match(row["kind"], *texts_under("plan.kind").items(), row["kind"].to(str)))


def lines(row: Row) -> Drawn:
    """All figures of a price, one below the other."""
    return rx.el.ul(rx.foreach(row["lines"].to(list[dict[str, Any]]), _line), class_name="plain-list")


def _line(line: rx.Var[Any]) -> rx.Component:
    code = line["currency"].to(str)
    amount = price(line["amount"], code)
    each = rx.cond(line["a_million"], price(line["amount"], code, per_unit=True), amount)
    size = line["size"].to(str)
    return rx.el.li(
        rx.match(
            line["what"],
            ("free", rx.fragment(t("price.free", size=size))),
            ("free_events", rx.fragment(t("price.free_events", size=size))),
            ("flat", rx.fragment(amount)),
            ("package", rx.fragment(amount, " ", t("price.package", size=size))),
            ("tier", rx.fragment(each, " ", _bounds(line), _flat(line))),
            ("volume", rx.fragment(each, " ", _reached(line), _flat(line))),
            ("rate", rx.fragment(value(line["rate"], "percent"), " ", t("price.rate"))),
            ("fee", rx.fragment(amount, " ", t("price.fee"))),
            ("minimum", rx.fragment(t("price.minimum"), " ", amount)),
            ("maximum", rx.fragment(t("price.maximum"), " ", amount)),
            ("with_tax", rx.fragment(t("price.with_tax"))),
            ("included", rx.fragment(amount, " ", t("price.included"))),
            rx.fragment(each, " ", _for(line, "each")),
        ),
        key=line["at"].to(str),
    )


def _for(line: rx.Var[Any], words: str, **amounts: Any) -> Any:
    """Those words of one, or of a million."""
    return rx.cond(line["a_million"], t(f"price.million.{words}", **amounts), t(f"price.{words}", **amounts))


def _bounds(line: rx.Var[Any]) -> Any:
    above, up_to = line["above"].to(str), line["up_to"].to(str)
    return rx.cond(
        up_to == "",
        rx.cond(above == "0", _for(line, "each"), _for(line, "tier_from", above=above)),
        rx.cond(
            above == "0",
            _for(line, "tier_first", up_to=up_to),
            _for(line, "tier_between", above=above, up_to=up_to),
        ),
    )


def _reached(line: rx.Var[Any]) -> Any:
    above, up_to = line["above"].to(str), line["up_to"].to(str)
    return rx.cond(
        up_to == "", _for(line, "volume_from", above=above), _for(line, "volume_first", up_to=up_to)
    )


def _flat(line: rx.Var[Any]) -> rx.Component:
    extra = rx.fragment(" ", t("price.tier_flat"), " ", price(line["flat"], line["currency"].to(str)))
    return rx.cond(line["flat"] != "", extra, rx.fragment())


def entitlement(row: Row) -> Drawn:
    """What is given of a feature: yes, no, or how much."""
    said = rx.cond(row["value"] == "true", t("plan.yes"), t("plan.no"))
    figure = value(row["value"], "number")
    plain = rx.fragment(rx.cond(row["kind"] == "flag", said, row["value"].to(str)))
    return rx.cond(row["kind"] == "number", figure, plain)
