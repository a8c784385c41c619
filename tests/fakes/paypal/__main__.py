"""A fake PayPal in a program of its own.

    python -m tests.fakes.paypal [--port 0] --state FOLDER [--key client:secret]

prints `{"url": …, "key": …}` in one line as soon as it listens on the loopback. It serves orders, payments, kept
wallets, webhooks, search and disputes; `/checkoutnow` is the page on which a buyer agrees, `/_control` has what only a
test provider can do. Ended by whatever signal and started again on FOLDER, it goes on where it was.
"""

from __future__ import annotations

import asyncio

from services.core.tether import tie_to_parent
from tests.fakes.paypal.server import serve
from tests.fakes.paypal.world import PayPalWorld
from tests.fakes.stripe.__main__ import until_told

if __name__ == "__main__":
    tie_to_parent()
    asyncio.run(until_told("tests.fakes.paypal", PayPalWorld, serve, key="client:secret"))
