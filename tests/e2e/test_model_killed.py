"""The built-in model server dies in the product that everything else is tried on, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from tests.bench.parties import inside, parties
from tests.bench.product import Answer, Product, paused
from tests.bench.stub import MODEL
from tests.e2e.browsing import MARKS
from tests.faults import books
from tests.faults.callers import until
from tests.faults.recovering import runs_anew, settled

pytestmark = MARKS


async def test_the_built_in_model_server_comes_back_after_kill_9(product: Product) -> None:
    (party,) = await parties(product, 1)
    ask = _asking(product, party.key)
    assert (await asyncio.to_thread(ask)).status == 200

    with paused(product.process.pid):  # it is started again only when a call was refused
        killed = product.pid("model")
        os.kill(killed, signal.SIGKILL)
        refused = await asyncio.to_thread(ask)

    assert refused.status in (502, 503)
    assert refused.json()["error"]["code"] in ("upstream_error", "upstream_unavailable")
    await until(lambda: runs_anew(product, "model", killed), "the model server runs again")
    await until(lambda: asyncio.to_thread(product.ready), "the product is ready again")
    assert (await asyncio.to_thread(ask)).status == 200
    await settled(product)
    async with inside(product):
        rows = await books.booked(party.organization_id)
        assert sorted(row.status for row in rows) == [200, 200, refused.status]
        assert [row.completion_tokens for row in rows if row.status != 200] == [0]
        assert await books.inner_faults(party.organization_id) == []


def _asking(product: Product, key: str) -> Callable[[], Answer]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 5}
    return lambda: product.ask(
        "POST", "/v1/chat/completions", body, headers={"Authorization": f"Bearer {key}"}
    )
