"""What happens to charges that nobody watches is told, once, to those who can do something about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from models.identity import Account
from models.payment_cases import CaseKind
from models.types import OrganizationKind, Role
from services.collection.collecting import Collector
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import CROSSING_ROLE
from services.core.relay import deliver, stamp
from services.notify import charge_words, notices
from services.notify.jobs import NOTICE_MAIL
from services.notify.sending import Sender
from services.notify.subscribers import NOTICES
from services.notify.telling import MailWanted, mail_notice
from services.payments import cases, expiring, methods
from services.payments.brands import CardBrand
from services.payments.events import PaymentWaits
from services.payments.providers.values import Customer, Method, SetupOrder
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.till import Till, open_till
from tests.world import World

DAY = timedelta(days=1)
MAILER = Sender(public_url="http://shop.example", mail_from="m@shop.example", server=None)


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def till(world: World, stripe: RunningStripe) -> AsyncIterator[Till]:
    shop = await open_shop(world, payment_days=0)
    shop.now = datetime.now(UTC)  # what is older than a week is no news
    async with open_till(shop, stripe) as till:
        yield till


async def keep(till: Till, expires: tuple[int, int]) -> None:
    provider, owner = await till.cashier.provider_of(till.account), till.shop.customer.id
    customer = await provider.keep_customer(Customer("Acme", "", owner), key=owner)
    setup = await provider.setup(SetupOrder(f"{owner}.visa", customer, "pm_card_visa"))
    assert setup.method is not None
    month, year = expires
    said = Method(setup.method.reference, "card", CardBrand.VISA, "4242", month, year)
    async with till.shop.work() as uow:
        await methods.keep_customer(uow, till.account.id, customer)
        await methods.keep(uow, till.account.id, said)


async def told(till: Till, who: Account, role: Role = Role.BILLING) -> list[str]:
    """Titles, the oldest first, after the relay has been by twice."""
    world = till.shop.world
    async with await world.database.unpooled() as connection:
        await connection.execute(f"set role {CROSSING_ROLE}")
        await stamp(connection)
    for _ in range(2):
        await deliver(NOTICES, world.database)
    found = await notices.notices_of(world.actor(till.shop.customer, role, who))
    return [one.title for one in reversed(found) if one.topic in ("charges", "cases")]


async def mails(till: Till, topic: str) -> list[tuple[str, str, str]]:
    """Recipient, subject and HTML of those that were asked for, each written once."""
    async with await till.shop.world.database.unpooled() as connection:
        found = await connection.execute(
            "select payload from pgqueuer where entrypoint = %s order by id", (NOTICE_MAIL,)
        )
        wanted = [MailWanted(**orjson.loads(payload)) for (payload,) in await found.fetchall()]
    for one in [*wanted, *wanted]:
        if one.topic == topic:
            await mail_notice(one, sender=MAILER)
    async with crossing(Reason.MAIL) as uow:
        rows = await uow.execute("select recipient, subject, body, html from mail order by created_at, id")
        return [(row.recipient, row.subject, f"{row.body}\n{row.html}") for row in rows]


async def test_who_pays_hears_of_a_charge_that_failed_or_wants_to_be_confirmed_once(till: Till) -> None:
    payer = await till.shop.world.account(
        "payer@example.com", member_of=till.shop.customer, role=Role.BILLING
    )
    await till.shop.world.account(member_of=till.shop.customer, role=Role.DEVELOPER)
    await keep(till, (12, 2034))
    collector = Collector(till.cashier, 1, clock=till.clock)
    await till.shop.invoice(line("100"))
    for code, days in (("insufficient_funds", 1), ("insufficient_funds", 2), ("authentication_required", 2)):
        till.stripe.act("declines", codes=[code])
        assert await collector.collect_due() == 1
        till.later(days * DAY)

    assert await told(till, payer) == ["A payment failed", "A payment wants your confirmation"]
    written = await mails(till, "charges")
    assert [(to, subject) for to, subject, _ in written] == [
        ("payer@example.com", "Eine Zahlung ist fehlgeschlagen"),
        ("payer@example.com", "Eine Zahlung braucht Ihre Bestätigung"),
    ]
    assert all("119,00\xa0€" in said and 'lang="de"' in said for _, _, said in written)
    assert await told(till, payer) == ["A payment failed", "A payment wants your confirmation"]

    async with till.shop.work() as uow:  # as where a wallet asks for its owner
        found = await uow.execute(
            "update payment set state = 'requires_action' where decline_kind = 'authentication' returning id"
        )
        uow.record(
            PaymentWaits(
                aggregate_id=found.scalar_one(),
                organization_id=till.shop.customer.id,
                state="requires_action",
            )
        )
    assert (await told(till, payer))[2:] == ["A payment wants your confirmation"]
    assert "sobald Sie sie bestätigt haben" in (await mails(till, "charges"))[-1][2]


async def test_a_card_is_said_to_expire_once_from_the_month_before(till: Till) -> None:
    payer = await till.shop.world.account(member_of=till.shop.customer, role=Role.BILLING)
    now = datetime.now(UTC)
    before = now.replace(day=1) - DAY
    months = (
        now.year * 12 + now.month
    )  # from January of the year 0, so that it names the month after this one
    await keep(till, (months % 12 + 1, months // 12))

    counts = [
        await expiring.tell(clock=FixedClock(at)) for at in (before, now, now, now + 31 * DAY, now + 90 * DAY)
    ]

    assert counts == [0, 1, 0, 0, 0]
    assert await told(till, payer) == ["Your card expires soon"]


async def test_staff_is_told_of_a_case_and_bank_lines_are_left_to_who_imports_them(till: Till) -> None:
    world = till.shop.world
    operators = await world.organization(OrganizationKind.OPERATOR)
    staff = await world.account("staff@example.com", member_of=operators, role=Role.OPERATOR)
    for kind in (CaseKind.REFUND_FAILED, CaseKind.REFUND_FAILED, CaseKind.UNMATCHED):
        async with crossing(Reason.PAYMENTS) as uow:
            await cases.open_case(
                uow, kind, "rfnd_x", cause="came_back", organization_id=till.shop.customer.id
            )
    assert await told(till, staff, Role.OPERATOR) == ["A refund did not arrive"]
    ((to, subject, _),) = await mails(till, "cases")
    assert (to, subject) == ("staff@example.com", "A refund did not arrive")


def test_each_language_says_all_of_it() -> None:
    card = {"brand": "visa", "last4": "4242", "month": 5, "year": 2026}
    for language in ("en", "de-AT", "fr", "ja", "ar"):
        said = charge_words.expires(language, card)
        assert said.language == language[:2]
        assert "Visa 4242" in said.sentences[0]
        assert "05/2026" in said.sentences[0]
    assert charge_words.waits("xx").language == "en"
