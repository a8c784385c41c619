"""Lines of a document speak its reader's language, leave the names of plans as they are, and say what one costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from services.papers.designs import Design
from services.papers.saying import invoice_says
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

CALLED = {
    "en": ["Unused time: Seats {2}", "Seats {2}"],
    "de": ["Nicht genutzte Zeit: Seats {2}", "Seats {2}"],
    "fr": ["Temps non utilisé\u00a0: Seats {2}", "Seats {2}"],
    "ja": ["未使用期間：Seats {2}", "Seats {2}"],
    "ar": ["وقت غير مستخدم: Seats {2}", "Seats {2}"],
}


async def test_unused_time_is_said_in_the_language_of_the_document(world: World) -> None:
    shop = await open_shop(world)
    shop.now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    sold = Subscribers(shop)
    seats = replace(price("seats", "seat", "30", quantity_min=Decimal(1)), name="Seats {2}")
    team = await sold.plan(seats)
    one = await sold.start(team, quantities={"seats": Decimal(2)})
    sold.at(2026, 4, 16, 12)
    await sold.change(one, team, quantities={"seats": Decimal(3)})
    begun, changed = await sold.invoices()
    whole = invoice_says(begun, await shop.lines(begun), Design(), due_minor=0)
    assert [(line.quantity, line.unit_price) for line in whole.lines] == [(2, 30)]  # of a whole period
    lines = await shop.lines(changed)
    parts = invoice_says(changed, lines, Design(), due_minor=0)
    assert [line.unit_price for line in parts.lines] == [
        None,
        None,
    ]  # times the quantity it is not the amount
    lines[1].inclusive = True  # said in words, which are kept as plain text in each language
    for language, expected in CALLED.items():
        changed.buyer = (changed.buyer or {}) | {"language": language}
        said = invoice_says(changed, lines, Design(), due_minor=0)
        assert [line.description for line in said.lines] == expected
        assert len(said.lines[1].details) == 1
