"""What addresses on a chain hold, found in our books to the cent: a real node, whose blocks come as a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import sqlalchemy as sa

from alembic import command
from services.core import listing_sql, migrations
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.permissions import ROLE_CAPABILITIES, Role
from services.crypto import holdings
from services.reconciliation import accepting, payout_queries, queries
from services.reconciliation.pulling import Puller
from services.reconciliation.queries import CaseRow
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.anvil.running import CHAIN_ID, running_anvil
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.chain_till import ChainTill, open_chain_till
from tests.world import World

COIN = 10**18
OWED = 5 * COIN // 100  # 119 at 2,380 for a coin


@dataclass
class Audit:
    """A till on a chain that is read and compared with the books."""

    till: ChainTill

    async def pull(self) -> tuple[int, int]:
        """As on the next day; returns what the chain holds in the books' money, and the difference."""
        self.till.later(minutes=1)
        async with crossing(Reason.PAYMENTS, clock=self.till.clock) as uow:
            await uow.execute("update provider_pull set due_at = :now", now=self.till.clock.at)
        await Puller(self.till.cashier, clock=self.till.clock).pull_due()
        async with crossing(Reason.STAFF, actor=self._staff(None), clock=self.till.clock) as uow:
            rows = await payout_queries.clearing(uow)
        assert len(rows) < 2
        return (rows[0].provider_minor, rows[0].difference_minor) if rows else (0, 0)

    async def cases(self) -> list[CaseRow]:
        async with crossing(Reason.PAYMENTS, clock=self.till.clock) as uow:
            found = await listing_sql.select(uow, queries.CASES, ("state", "open"), limit=50)
        return [one for one in found if one.kind == "difference"]

    async def accept(self, case: CaseRow) -> None:
        staff = self._staff(case.organization_id)
        async with crossing(Reason.STAFF, actor=staff, clock=self.till.clock) as uow:
            await accepting.accept(uow, case.id)

    @staticmethod
    def _staff(organization_id: str | None) -> Actor:
        return Actor("acc_staff", organization_id, ROLE_CAPABILITIES[Role.OPERATOR])


@pytest.fixture
async def audit(world: World) -> AsyncIterator[Audit]:
    shop = await open_shop(world)
    with running_anvil(at=shop.now) as anvil:
        async with open_chain_till(shop, anvil) as till:
            yield Audit(till)


async def test_what_came_and_went_with_its_block_is_reconciled_to_zero(audit: Audit) -> None:
    till = audit.till
    whole, token = await till.shop.invoice(line("100")), await till.shop.invoice(line("50"))
    asked, in_tokens = await till.ask(whole), await till.ask(token, "USDX")
    assert await audit.pull() == (0, 0)
    sent = till.anvil.raw(till.anvil.send(asked.address, OWED))
    till.anvil.send(asked.address, COIN // 1_000)  # too much, 2.38
    till.anvil.send_token(till.token, in_tokens.address, 30_000_000)  # a part
    await till.watch(3)
    assert await audit.pull() == (11_900 + 238, 0)
    till.later(minutes=20)
    await till.watch(3)
    assert await audit.pull() == (11_900 + 238 + 3_000, 0)

    till.anvil.forget(6)
    await till.watch()
    assert await audit.pull() == (0, 0)
    till.anvil.send_again(sent)
    await till.watch(3)

    assert await audit.pull() == (11_900, 0)
    assert await audit.pull() == (11_900, 0)
    assert await audit.cases() == []
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_what_is_sent_on_and_what_comes_unseen_are_cases(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part and then all of an address; and coins that no transaction names."""
    monkeypatch.setattr(holdings, "ADDRESSES_A_TURN", 1)  # so that several pages are read
    till = audit.till
    first, second = [await till.ask(await till.shop.invoice(line("100"))) for _ in range(2)]
    for one in (first, second):
        till.anvil.send(one.address, OWED)
    await till.watch(3)
    assert await audit.pull() == (23_800, 0)

    till.anvil.set_coins(first.address, OWED - OWED // 4)
    till.anvil.set_coins(second.address, OWED + COIN // 100)
    await till.watch(1)
    assert await audit.pull() == (23_800, 0)  # it does not count yet
    await till.watch(2)

    assert await audit.pull() == (23_800 - 2_975 + 2_380, 2_380 - 2_975)
    found = {case.cause: case for case in await audit.cases()}
    assert {cause: (case.minor, case.accepting) for cause, case in found.items()} == {
        "swept": (
            -2_975,
            "Books in the platform's own book: debit cash 29.75\u00a0EUR, credit clearing 29.75\u00a0EUR.",
        ),
        "came_unseen": (
            2_380,
            "Books in the platform's own book: debit clearing 23.80\u00a0EUR, credit suspense 23.80\u00a0EUR.",
        ),
    }
    for case in found.values():
        await audit.accept(case)
    till.anvil.set_coins(first.address, 0)
    till.anvil.set_coins(second.address, 0)
    await till.watch(3)
    await audit.pull()
    for case in await audit.cases():
        assert case.cause == "swept"
        await audit.accept(case)

    assert await audit.pull() == (0, 0)
    assert await audit.cases() == []
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_a_node_that_is_away_is_asked_later_and_nothing_is_missed(audit: Audit) -> None:
    till = audit.till
    asked = await till.ask(await till.shop.invoice(line("100")))
    till.anvil.send(asked.address, OWED)
    await till.watch(3)
    till.anvil.ask("anvil_setChainId", 1)
    assert await audit.pull() == (0, -11_900)
    async with crossing(Reason.PAYMENTS, clock=till.clock) as uow:
        found = await uow.execute("select reason from provider_pull")
        assert found.scalar_one() == f"The node follows another chain than {CHAIN_ID}."
    till.later(days=3)  # after which money that was booked and did not move would be a case
    till.anvil.ask("anvil_setChainId", CHAIN_ID)

    assert await audit.pull() == (11_900, 0)
    till.clock.at += timedelta(days=4)
    assert await audit.pull() == (11_900, 0)
    assert await audit.cases() == []


async def test_the_migration_finds_what_came_and_went_before_there_were_movements(
    audit: Audit, owner_url: str
) -> None:
    till = audit.till
    whole, token = await till.shop.invoice(line("100")), await till.shop.invoice(line("50"))
    asked, in_tokens = await till.ask(whole), await till.ask(token, "USDX")
    till.anvil.send(asked.address, OWED)
    till.anvil.send(asked.address, COIN // 1_000)  # too much
    till.anvil.send_token(till.token, in_tokens.address, 30_000_000)  # a part
    await till.watch(3)
    till.anvil.forget(3)
    await till.watch()
    await till.shop.world.database.close()

    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    read = sa.text(
        "select organization_id, provider_account_id, request_id, kind, booked_id, currency, minor from crypto_movement"
        " order by booked_id, kind"
    )
    with engine.begin() as connection:
        kept = connection.execute(read).all()
        command.downgrade(migrations.config(connection), "0008")
    migrations.migrate(owner_url)
    with engine.connect() as connection:
        found = connection.execute(read).all()

    assert {row.kind for row in kept} == {"came", "gone"}
    assert found == kept
