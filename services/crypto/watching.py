"""Watches chains for what comes to addresses that were given out.

Each turn reads a bounded number of blocks after the last one that was kept, and keeps what came in them together with
how far it read: whoever is ended goes on from there, and of two who read the same one keeps it. What comes in the
chain's own coin is seen in the transactions of each block, since only there it has a name that it is known by;
tokens are seen by their logs. The hashes of the last blocks are kept: where the chain has gone another way, it is
walked back to the last block that both ways have, and what came after that is gone until it comes again.

Not seen: coins that a contract moves within a transaction of something else. Wallets send plainly.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC

from models.crypto import CryptoWatch
from models.payments import ProviderAccount
from services.core import clock as clocks
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database, database
from services.core.errors import MatrixError, not_found
from services.core.ids import new_id
from services.core.logs import get_logger
from services.core.wakeups import CHAINS_READ
from services.core.work import UnitOfWork, unit_of_work
from services.crypto import moved
from services.crypto import settling as crypto_settling
from services.crypto.reading import Place, Stretch, Watched, block_at, stretch
from services.payments import policies
from services.payments.cashier import Cashier
from services.payments.providers.crypto import CryptoProvider
from services.payments.providers.crypto_chain import Block, Chain

log = get_logger(__name__)

BLOCKS_A_TURN = 30
KEPT_BLOCKS = 256  # hashes to walk back by, and how far before now a new account begins
BATCH = 200
_ACCOUNTS = """
select a.id from provider_account a where a.provider = 'crypto' and a.id > :after
  and (a.enabled or exists (
    select from crypto_request r join crypto_watch w on w.provider_account_id = a.id
    where r.provider_account_id = a.id and r.watched_until > w.read_until))
order by a.id limit :most
"""
# By how far the chain was read, not by the clock: what came in time is seen however late it is read.
_WATCHED = """
select r.payment_id, r.organization_id, r.address, r.contract
from crypto_request r join crypto_watch w on w.provider_account_id = r.provider_account_id
where r.provider_account_id = :account_id and r.watched_until > w.read_until and r.payment_id > :after
order by r.payment_id limit :most
"""
_KEEP_TRANSFER = """
insert into crypto_transfer (id, organization_id, provider_account_id, payment_id, chain_id, tx_hash, log_index,
  block_number, block_hash, block_at, units, state, created_at, version)
values (:id, :organization_id, :account_id, :payment_id, :chain_id, :tx_hash, :log_index,
  :block_number, :block_hash, :block_at, :units, 'seen', :now, 1)
on conflict (chain_id, tx_hash, log_index) do update set block_number = excluded.block_number,
  block_hash = excluded.block_hash, block_at = excluded.block_at, state = 'seen'
where crypto_transfer.state = 'orphaned'
"""
_WALK_BACK = """
update crypto_transfer set state = 'orphaned'
where provider_account_id = :id and block_number > :number and state <> 'orphaned'
"""
_TO_CONFIRM = """
select t.id, t.tx_hash, t.block_hash from crypto_transfer t join crypto_request r on r.payment_id = t.payment_id
where t.provider_account_id = :id and t.state = 'seen' and t.block_number + r.confirmations - 1 <= :height
order by t.block_number, t.id limit :most
"""
_TO_SETTLE = """
select r.payment_id, r.organization_id from crypto_request r join payment p on p.id = r.payment_id
where r.provider_account_id = :id and r.payment_id > :after and (
  exists (select from crypto_transfer t where t.payment_id = r.payment_id and (
    t.state = 'confirmed' and t.booked_by is null or t.state = 'orphaned' and t.booked_by is not null))
  or (p.state in ('requires_action', 'processing') and (r.expires_at < :read_until
    or (p.state = 'processing') <> exists (
      select from crypto_transfer t where t.payment_id = r.payment_id and t.state in ('seen', 'confirmed'))))
) order by r.payment_id limit :most
"""
_WAITING = """
select distinct organization_id from crypto_transfer where provider_account_id = :id and state = 'seen' limit :most
"""


class Watcher:
    """Reads the chains of all accounts. Safe to run twice, from many workers, and to be cut off anywhere."""

    def __init__(
        self, cashier: Cashier, on: Database | None = None, clock: clocks.Clock | None = None
    ) -> None:
        self._cashier = cashier
        self._on = on
        self._clock = clock or clocks.SystemClock()

    async def watch_all(self) -> int:
        """One turn for each account; returns how many blocks were read. One that cannot be read holds up no other."""
        read, after = 0, ""
        while True:
            async with self._crossing() as uow:
                found = await uow.execute(_ACCOUNTS, after=after, most=BATCH)
                ids: list[str] = list(found.scalars())
            for account_id in ids:
                read += await self._turn(account_id)
            if len(ids) < BATCH:
                return read
            after = ids[-1]

    async def _turn(self, account_id: str) -> int:
        problem: str | None = None
        read = 0
        try:
            read = await self.watch(account_id)
        except MatrixError as error:
            problem = error.message
            log.warning("chain_waits", account=account_id, error=problem)
        except Exception as error:
            problem = "This installation has a fault; its log says which."
            log.error("chain_watch_failed", account=account_id, exc_info=error)
        async with self._crossing() as uow:
            await uow.execute(
                "update crypto_watch set problem = :problem, checked_at = :now where provider_account_id = :id",
                problem=problem,
                now=uow.wall_now,
                id=account_id,
            )
        return read

    async def watch(self, account_id: str) -> int:
        """One turn of one account. Raises ProviderUnavailable, after which all is as it was."""
        async with self._crossing() as uow:
            account = await policies.any_account(uow, account_id)
        provider = await self._cashier.provider_of(account)
        if not isinstance(provider, CryptoProvider):
            raise not_found("account on a chain", account_id)
        chain = provider.chain
        await provider.require_chain()
        top = await chain.height()
        watch = await self._begun(account, chain, top)
        place = await self._place(account_id, chain, watch)
        if place is None:
            return 0
        read = await self._read(account_id, chain, place, top)
        if read.blocks and not await self._keep(account_id, provider.terms.chain_id, read):
            return 0
        await self._confirm(account_id, chain)
        await self._settle(account_id)
        return len(read.blocks)

    # -- where it was, and where the chain goes

    async def _begun(self, account: ProviderAccount, chain: Chain, top: int) -> CryptoWatch:
        """How far it was read; a new account begins a little before now."""
        async with self._crossing() as uow:
            if (there := await uow.get(CryptoWatch, account.id)) is not None:
                return there
        block = await block_at(chain, max(0, top - KEPT_BLOCKS))
        async with self._crossing() as uow:
            made = await uow.execute(
                "insert into crypto_watch (provider_account_id, height, read_until, checked_at)"
                " values (:id, :number, :at, :now) on conflict do nothing returning height",
                id=account.id,
                number=block.number,
                at=block.at,
                now=uow.wall_now,
            )
            if made.first() is not None:
                await _keep_hashes(uow, account.id, (block,))
            return await _watch(uow, account.id)

    async def _place(self, account_id: str, chain: Chain, watch: CryptoWatch) -> Place | None:
        """Where to read on: after the block that was read last, or, if the chain does not have it any more, after the
        last kept one that it has. None where somebody else moves on."""
        async with self._crossing() as uow:
            found = await uow.execute(
                "select number, hash from crypto_block where provider_account_id = :id order by number desc",
                id=account_id,
            )
            kept = [(int(row.number), str(row.hash)) for row in found]
        back: Block | None = None
        for number, known in kept:
            block = await chain.block(number)
            if block is not None and block.hash == known:
                if number == watch.height:
                    return Place(number, known)
                back = block
                break
        if back is None:  # it went another way before all that is known: begin before that
            back = await block_at(
                chain, max(0, min([watch.height, *(number for number, _ in kept)]) - KEPT_BLOCKS)
            )
        log.warning("chain_reorganised", account=account_id, height=watch.height, back_to=back.number)
        async with self._crossing() as uow:
            if not await _locked_at(uow, account_id, watch.height):
                return None
            await uow.execute(
                "delete from crypto_block where provider_account_id = :id and number >= :number",
                id=account_id,
                number=back.number,
            )
            await uow.execute(_WALK_BACK, id=account_id, number=back.number)
            await _move_to(uow, account_id, back)
            await _keep_hashes(uow, account_id, (back,))
        return Place(back.number, back.hash)

    # -- reading

    async def _read(self, account_id: str, chain: Chain, place: Place, top: int) -> Stretch:
        """The next blocks. Where no address is watched only the last of all is read, not what led there."""
        watched = await self._watched(account_id)
        if not watched:
            return Stretch(place.height, (await block_at(chain, top),) if top > place.height else ())
        last = min(top, place.height + BLOCKS_A_TURN)
        return await stretch(chain, place, last, watched)

    async def _watched(self, account_id: str) -> dict[tuple[str, str | None], Watched]:
        watched, after = dict[tuple[str, str | None], Watched](), ""
        while True:
            async with self._crossing() as uow:
                found = await uow.execute(_WATCHED, account_id=account_id, after=after, most=BATCH)
                rows = [Watched(*row) for row in found]
            watched |= {one.key: one for one in rows}
            if len(rows) < BATCH:
                return watched
            after = rows[-1].payment_id

    async def _keep(self, account_id: str, chain_id: int, read: Stretch) -> bool:
        """All of it at once, if nobody else did meanwhile."""
        at = {block.number: block.at for block in read.blocks}
        async with self._crossing() as uow:
            if not await _locked_at(uow, account_id, read.after):
                return False
            for to, one in read.came:
                await uow.execute(
                    _KEEP_TRANSFER,
                    id=new_id("ctrf"),
                    organization_id=to.organization_id,
                    account_id=account_id,
                    payment_id=to.payment_id,
                    chain_id=chain_id,
                    tx_hash=one.tx_hash,
                    log_index=one.log_index,
                    block_number=one.block_number,
                    block_hash=one.block_hash,
                    block_at=at[one.block_number],
                    units=one.units,
                    now=uow.wall_now,
                )
            await _move_to(uow, account_id, read.blocks[-1])
            await _keep_hashes(uow, account_id, read.blocks)
            waiting = list((await uow.execute(_WAITING, id=account_id, most=BATCH)).scalars())
        for organization_id in waiting:  # whose pages show how deep it is
            (self._on or database()).wakeups.poke(CHAINS_READ, organization_id)
        return True

    # -- what follows

    async def _confirm(self, account_id: str, chain: Chain) -> None:
        """What has enough blocks above it counts, if the node still says that it was done, in the same block."""
        async with self._crossing() as uow:
            watch = await _watch(uow, account_id)
            found = list(await uow.execute(_TO_CONFIRM, id=account_id, height=watch.height, most=BATCH))
        for row in found:
            receipt = await chain.receipt(row.tx_hash)
            if receipt is None or receipt.block_hash != row.block_hash:
                continue  # the chain went another way: the next turn walks back
            async with self._crossing() as uow:
                done = await uow.execute(
                    "update crypto_transfer set state = :state"
                    " where id = :id and state = 'seen' and block_hash = :hash returning booked_by",
                    state="confirmed" if receipt.succeeded else "orphaned",
                    id=row.id,
                    hash=row.block_hash,
                )
                booked_by: str | None = done.scalar_one_or_none()
                if booked_by is not None and receipt.succeeded:  # it could not be undone while it was gone
                    await moved.back(uow, booked_by)

    async def _settle(self, account_id: str) -> None:
        after = ""
        while True:
            async with self._crossing() as uow:
                watch = await _watch(uow, account_id)
                found = await uow.execute(
                    _TO_SETTLE, id=account_id, read_until=watch.read_until, after=after, most=BATCH
                )
                due = [(str(row.payment_id), str(row.organization_id)) for row in found]
            for payment_id, organization_id in due:
                try:
                    async with unit_of_work(system(organization_id), on=self._on, clock=self._clock) as uow:
                        await crypto_settling.settle(uow, payment_id, read_until=watch.read_until)
                except MatrixError as error:  # of one payment: others go on, and it is tried again
                    log.error("chain_payment_failed", payment_id=payment_id, exc_info=error)
            if len(due) < BATCH:
                return
            after = due[-1][0]

    def _crossing(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return crossing(Reason.PAYMENTS, on=self._on, clock=self._clock)


async def _watch(uow: UnitOfWork, account_id: str) -> CryptoWatch:
    watch = await uow.get(CryptoWatch, account_id)
    if watch is None:
        raise not_found("watch of a chain", account_id)
    return watch


async def _locked_at(uow: UnitOfWork, account_id: str, height: int) -> bool:
    """Whether nobody has read on since."""
    found = await uow.execute(
        "select height from crypto_watch where provider_account_id = :id for update", id=account_id
    )
    return found.scalar_one() == height


async def _move_to(uow: UnitOfWork, account_id: str, block: Block) -> None:
    await uow.execute(
        "update crypto_watch set height = :number, read_until = :at where provider_account_id = :id",
        id=account_id,
        number=block.number,
        at=block.at.astimezone(UTC),
    )


async def _keep_hashes(uow: UnitOfWork, account_id: str, blocks: Sequence[Block]) -> None:
    for block in blocks:
        await uow.execute(
            "insert into crypto_block (provider_account_id, number, hash) values (:id, :number, :hash)",
            id=account_id,
            number=block.number,
            hash=block.hash,
        )
    await uow.execute(
        "delete from crypto_block where provider_account_id = :id and number < :from",
        {"id": account_id, "from": blocks[-1].number - KEPT_BLOCKS},
    )
