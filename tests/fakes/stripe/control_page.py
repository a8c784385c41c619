"""The page by which a person plays bank, customer and bad weather."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import Any

from tests.fakes.stripe import currencies, faults
from tests.fakes.stripe.hooks import SPOILS
from tests.fakes.stripe.page_frame import alert, frame
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import World

ROWS = 10


def control_page(world: World, state: dict[str, Any], refused: str) -> str:
    parts = [
        alert(refused),
        section("Clock", form("advance", given("days", "Days to advance", "1"))),
        section("Next charge", form("declines", given("codes", "Declined with", "insufficient_funds"))),
        section("Payments", table(_payments(world))),
        section("Disputes", table(_disputes(world))),
        section("Kept cards", table(_methods(world))),
        section("Payout", form("payout", given("currency", "Currency", "usd")), table(_payouts(world))),
        section("Next request", form("fault", choice("kind", "Goes wrong", list(faults.KINDS)))),
        section(
            "Next webhooks",
            form("spoil", choice("kind", "Are", list(SPOILS)), given("times", "How many", "2")),
            form("deliver", '<input type="hidden" name="even_later" value="true">'),
            f"<p>{len(state['deliveries'])} waiting.</p>",
        ),
        section("Switches", form("clear")),
    ]  # fmt: skip
    return frame("Test payments: control", "".join(parts))


def section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


_WORDS = {
    "advance": "Advance the clock",
    "clear": "Take back all switches",
    "declines": "Decline the next charge",
    "detach": "Keep it no more",
    "renew": "Its bank renews it",
    "deliver": "Send all that wait, now",
    "dispute": "Dispute it",
    "end_agreement": "End it",
    "escalate": "Escalate it",
    "fault": "Break the next request",
    "payout": "Pay out what has settled",
    "spoil": "Spoil the next webhooks",
    "withdraw": "Withdraw all",
}


def form(act: str, *fields: str, label: str = "") -> str:
    words = label or _WORDS[act]
    row = f'<div class="row">{"".join(fields)}<button>{words}</button></div>'
    return f'<form method="post" action="/_control/{act}">{row}</form>'


def given(name: str, label: str, value: str) -> str:
    return f'<label>{escape(label)}<input name="{name}" value="{escape(value)}"></label>'


def choice(name: str, label: str, choices: list[str]) -> str:
    options = "".join(f"<option>{escape(one)}</option>" for one in choices)
    return f'<label>{escape(label)}<select name="{name}">{options}</select></label>'


def hidden(**values: str) -> str:
    return "".join(f'<input type="hidden" name="{k}" value="{escape(v)}">' for k, v in values.items())


def table(rows: list[list[str]]) -> str:
    if not rows:
        return "<p>None yet.</p>"
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{body}</table>"


def _newest(world: World, kind: str) -> list[Thing]:
    return list(islice(world.store.newest_first(kind), ROWS))


def _payments(world: World) -> list[list[str]]:
    return [
        [
            f"<code>{one['id']}</code>",
            currencies.text(one["amount"], one["currency"]),
            one["status"],
            form("dispute", hidden(charge=one["id"])) if one["captured"] else "",
        ]
        for one in _newest(world, "charge")
    ]


def _disputes(world: World) -> list[list[str]]:
    return [
        [
            f"<code>{one['id']}</code>",
            one["status"],
            form("close_dispute", hidden(dispute=one["id"], won="true"), label="Won")
            + form("close_dispute", hidden(dispute=one["id"], won="false"), label="Lost")
            if one["status"] not in ("won", "lost", "warning_closed")
            else "",
        ]
        for one in _newest(world, "dispute")
    ]


def _methods(world: World) -> list[list[str]]:
    return [
        [
            f"<code>{one['id']}</code>",
            f"{one['card']['brand']} {one['card']['last4']}, {one['card']['exp_month']}/{one['card']['exp_year']}",
            form("renew", hidden(payment_method=one["id"]))
            + form("detach", hidden(payment_method=one["id"])),
        ]
        for one in islice(
            (one for one in world.store.newest_first("payment_method") if one["customer"]), ROWS
        )
    ]


def _payouts(world: World) -> list[list[str]]:
    return [
        [f"<code>{one['id']}</code>", currencies.text(one["amount"], one["currency"]), one["status"]]
        for one in _newest(world, "payout")
    ]
