"""The page by which a person pays from the test wallet and makes blocks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from tests.fakes.anvil.wallet import COIN, TOKEN
from tests.fakes.stripe.control_page import form, given, section, table
from tests.fakes.stripe.page_frame import alert, frame

_SHARES = {
    "all": ("Send it", ""),
    "part": ("Send half of it", "quiet"),
    "over": ("Send a tenth more", "quiet"),
}


def control_page(state: Mapping[str, Any], asked: Mapping[str, str], refused: str) -> str:
    """`asked` is what the form begins with: a payment's page says it in its link."""
    parts = [
        alert(refused),
        section(
            "Send from the test wallet",
            "<p>A payment's page says how much goes where. It is in a new block at once.</p>",
            _send(asked),
        ),
        section(
            "Blocks",
            f"<p>The chain has {state['height']:,}. Each more block is one more confirmation of what is below it;"
            " no block comes by itself.</p>",
            form("mine", given("blocks", "How many", "1"), label="Make blocks"),
        ),
        section("Sent", table([_sent(one) for one in state["sent"]])),
        section(
            "The chain goes another way",
            "<p>The last blocks are replaced by empty ones: what was sent in them is gone.</p>",
            form("take_back", given("blocks", "How many", "2"), label="Take blocks back"),
        ),
    ]
    return frame("Test chain: control", "".join(parts))


def _send(asked: Mapping[str, str]) -> str:
    chosen = asked.get("asset", COIN)
    assets = "".join(f"<option{' selected' if one == chosen else ''}>{one}</option>" for one in (COIN, TOKEN))
    buttons = "".join(
        f'<button name="share" value="{share}" class="{look}">{words}</button>'
        for share, (words, look) in _SHARES.items()
    )
    return (
        '<form method="post" action="/_control/send">'
        f"{given('to', 'To this address', asked.get('to', ''))}"
        f'<div class="row">{given("amount", "Amount", asked.get("amount", ""))}'
        f'<label>Asset<select name="asset">{assets}</select></label></div>'
        f'<div class="row">{buttons}</div></form>'
    )


def _sent(one: Mapping[str, Any]) -> list[str]:
    again = form(
        "send_again", f'<input type="hidden" name="hash" value="{escape(one["hash"])}">', label="Send again"
    )
    depth = one["depth"]
    stands = f"{depth:,} confirmation{'s' if depth != 1 else ''}" if depth else "gone"
    return [
        f"{escape(one['amount'])} {escape(one['asset'])}",
        f"<code>{escape(one['to'])}</code>",
        stands,
        "" if depth else again,
    ]
