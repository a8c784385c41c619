"""What the worker does about payments: asks providers for what has not ended, follows what they told, and
watches chains."""

from __future__ import annotations

from services.collection import collecting
from services.core.database import Database
from services.core.settings import settings
from services.crypto.watching import Watcher
from services.disputes import contests
from services.disputes.answering import Answering
from services.disputes.disputing import Disputing
from services.documents.press import Press
from services.files.stores import places
from services.payments import expiring, setups
from services.payments.cashier import cashier
from services.payments.inbox import Inbox
from services.reconciliation.pulling import Puller
from services.refunds.refunding import Refunding

EVERY_S = 30
EVENTS_EVERY_S = 1
CHAINS_EVERY_S = 5
DISPUTES_EVERY_S = 6 * 3_600  # events tell of them sooner
ANSWERS_EVERY_S = 300
REMINDERS_EVERY_S = 900
RECONCILIATION_EVERY_S = 60  # looks which account is due; each is read once a day


async def check_payments(_: Database) -> int:
    return await cashier().check_due() + await setups.check_due(cashier())


async def check_refunds(on: Database) -> int:
    return await Refunding(cashier(), on).check_due()


async def collect_due(on: Database) -> int:
    collector = collecting.collector(on)
    return 0 if collector is None else await collector.collect_due()


async def follow_events(on: Database) -> int:
    return await Inbox(cashier(), on).follow_due()


async def watch_chains(on: Database) -> int:
    return await Watcher(cashier(), on).watch_all()


async def forget_old_events(on: Database) -> int:
    return await Inbox(cashier(), on).forget_old()


async def list_disputes(on: Database) -> int:
    return await Disputing(cashier(), on).list_all()


async def repeat_answers(on: Database) -> int:
    press = Press()  # its process begins with the first document
    try:
        return await Answering(cashier(), press, places(settings()).store, on).check_due()
    finally:
        await press.close()


async def remind_of_disputes(on: Database) -> int:
    return await Disputing(cashier(), on).remind() + await contests.remind(on)


async def tell_of_expiring(on: Database) -> int:
    return await expiring.tell(on)


async def reconcile(on: Database) -> int:
    return await Puller(cashier(), on).pull_due()
