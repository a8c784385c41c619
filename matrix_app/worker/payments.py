"""What the worker does about payments: asks providers for what has not ended, and follows what they told."""

from __future__ import annotations

from services.core.database import Database
from services.payments import collecting
from services.payments.cashier import cashier
from services.payments.inbox import Inbox

EVERY_S = 30
EVENTS_EVERY_S = 1


async def check_payments(_: Database) -> int:
    return await cashier().check_due()


async def collect_due(on: Database) -> int:
    collector = collecting.collector(on)
    return 0 if collector is None else await collector.collect_due()


async def follow_events(on: Database) -> int:
    return await Inbox(cashier(), on).follow_due()


async def forget_old_events(on: Database) -> int:
    return await Inbox(cashier(), on).forget_old()
