"""Rotation of the keys that wrap data keys: a new one is made, every sealed value is re-wrapped by it, and the old one
is put aside once nothing refers to it.

Which values are done is told by the values themselves, and how far a rotation is by the file of keys. So one that was
cut off anywhere goes on where it was, and processes that share the file follow it. See
docs/decisions/0044-keys-of-others.md.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.core import key_file, openings, sealed_columns
from services.core.crossing import Reason, crossing
from services.core.crypto import PLATFORM, CannotOpen, Place, Vault
from services.core.database import Database
from services.core.key_file import Keys, Remote
from services.core.key_providers import (
    CannotUnwrap,
    KeyRing,
    KeysUnavailable,
    lookup_of,
    lookup_under,
    wrapping_key,
)
from services.core.key_service import KeptBy
from services.core.openings import Purpose
from services.core.refusal import Refused
from services.core.sealed_columns import SealedColumn

BATCH = 200
AT_ONCE = 8  # of remote keys: each waits for an answer
SETTLE_S = 60.0  # how long work is waited for that began before the new key was current
LOOK_AGAIN_S = 0.2
_LOCK = 0x6D78_6B72  # "mxkr"


@dataclass(slots=True)
class _Swept:
    """What one pass over all columns came to. `lost` names values that no key of ours opens."""

    done: int = 0
    lost: list[str] = field(default_factory=list[str])


async def prepare(on: Database, path: Path, kept: KeptBy) -> AsyncGenerator[str]:
    """Make the next key and have it in the file, used for nothing yet: for machines that need a copy of the file
    before anything is sealed under it. Says what it did. Raises Refused, KeysUnavailable and Unavailable."""
    async with _alone(on):
        keys = _read(path)
        if len(keys.wrapping) > 1 and not keys.next:
            raise Refused("A rotation is under way: go on with it by `matrix keys rotate`.")
        if not keys.next:
            keys = await _begin(path, keys, kept)
        yield f"{keys.next} is made and in {path}. Copy that file to every machine, then run `matrix keys rotate`."


async def rotate(
    on: Database, path: Path, kept: KeptBy, *, batch: int = BATCH, settle_s: float = SETTLE_S
) -> AsyncGenerator[str]:
    """Rotate, or go on with a rotation that was cut off. Says what is done, step by step, and may be ended after any.

    Raises Refused when another rotation runs and when the old key must stay, KeysUnavailable and Unavailable.
    """
    async with _alone(on):
        keys, aside = _read(path), key_file.retired(path)
        if not keys.next and len(keys.wrapping) == 1 and not await _referring(on, aside.keys()):
            keys = await _begin(path, keys, kept)
            yield f"{keys.next} is made."
        if keys.next:
            keys = await _switch(path, keys, kept)
            yield f"{keys.current} is current: what is sealed from now on is under it."
        before = await _number(on, "pg_current_xact_id()")
        vault = await _vault(keys, aside, kept)
        swept = _Swept()
        async for said in _sweep(on, vault, swept, batch):
            yield said
        await _settled(on, before, settle_s)
        swept.lost.clear()
        async for said in _sweep(on, vault, swept, batch):  # what was still being written
            yield said
        yield f"{swept.done:,} values re-wrapped."
        if swept.lost:
            yield f"{len(swept.lost):,} cannot be opened and stay as they are: {', '.join(swept.lost[:10])}."
        old = [key_id for key_id in keys.wrapping if key_id != keys.current]
        if referring := await _referring(on, [*old, *aside]):
            raise Refused(
                f"The old key stays, because {referring:,} values still are under it: give those that cannot be opened "
                "anew, or delete them, and run this again."
            )
        for key_id in old:
            aside_at = key_file.retire(path, key_id, keys.wrapping[key_id])
            yield f"{key_id} is retired. Backups from before need it: it lies in {aside_at}; delete that with them."
        key_file.replace(path, replace(keys, wrapping={keys.current: keys.wrapping[keys.current]}))
        yield f"{keys.current} is the only key in use."


@dataclass(frozen=True, slots=True)
class Standing:
    """One key, what it is for, and how many values are under it; "" stands for keys that are not here. `fault` says
    why it cannot be used now."""

    key_id: str
    use: str
    values: int
    fault: str = ""


async def standing(on: Database, path: Path, kept: KeptBy) -> list[Standing]:
    """Every key there is, also while what keeps some of them is away. Raises Refused and Unavailable."""
    keys, aside = _read(path), key_file.retired(path)
    found: list[Standing] = []
    for key_id, key in (keys.wrapping | aside).items():
        use = {keys.current: "current", keys.next: "next"}.get(key_id)
        use = use or ("old" if key_id in keys.wrapping else "retired")
        found.append(Standing(key_id, use, await _referring(on, [key_id]), await _fault(key_id, key, kept)))
    if others := await _total(on) - sum(one.values for one in found):
        found.append(Standing("", "not here", others))
    return found


async def _fault(key_id: str, key: bytes | Remote, kept: KeptBy) -> str:
    try:
        return "" if await _works(key_id, key, kept) else "It does not open what it wraps."
    except KeysUnavailable as error:
        return error.message
    except Refused as error:
        return str(error)


# -- steps


async def _begin(path: Path, keys: Keys, kept: KeptBy) -> Keys:
    """Raises Refused for a key that does not open what it wrapped: nothing was sealed under it yet."""
    key_id, key = kept.new_key()
    if not await _works(key_id, key, kept):
        raise Refused("The new key does not open what it wraps: is it one to encrypt and decrypt with?")
    keys = replace(keys, wrapping={**keys.wrapping, key_id: key}, next=key_id)
    key_file.replace(path, keys)
    return keys


async def _works(key_id: str, key: bytes | Remote, kept: KeptBy) -> bool:
    """Whether it opens what it wraps. Raises KeysUnavailable and Refused."""
    tried, aad = secrets.token_bytes(key_file.KEY_BYTES), key_id.encode()
    by = wrapping_key(key, kept.reach)
    try:
        return await by.unwrap(await by.wrap(tried, aad), aad) == tried
    except CannotUnwrap:
        return False


async def _switch(path: Path, keys: Keys, kept: KeptBy) -> Keys:
    lookup = await lookup_of(keys, kept.reach)
    wrapped = await lookup_under(keys, keys.next, lookup, kept.reach)
    keys = Keys(keys.next, keys.wrapping, wrapped)
    key_file.replace(path, keys)
    return keys


async def _vault(keys: Keys, aside: dict[str, Any], kept: KeptBy) -> Vault:
    """It opens with retired keys, too: a backup from before may have been restored."""
    lookup = await lookup_of(keys, kept.reach)
    return Vault(KeyRing(replace(keys, wrapping={**aside, **keys.wrapping}), lookup, kept.reach))


async def _sweep(on: Database, vault: Vault, swept: _Swept, batch: int) -> AsyncGenerator[str]:
    for where in sealed_columns.sealed_columns():
        head = vault.current_header()
        async with crossing(Reason.KEYS, on=on) as uow:
            left = await sealed_columns.count(uow, where, but=head)
        done, after = 0, None
        while left:
            async with crossing(Reason.KEYS, on=on) as uow:
                rows = await sealed_columns.after(uow, where, after, but=head, most=batch)
                if rows and after is None:
                    whole = Place(PLATFORM, where.table.name, where.column.name, "*")
                    await openings.note(uow, whole, Purpose.KEYS_ROTATED)
            if not rows:
                break
            for start in range(0, len(rows), AT_ONCE):
                some = rows[start : start + AT_ONCE]
                names = await asyncio.gather(*(_rewrap(on, vault, where, row) for row in some))
                swept.lost += [name for name in names if name]
                done += names.count("")
            after = [rows[-1][column.name] for column in where.key]
            yield f"{where}: {done:,} of {left:,}"
        swept.done += done


async def _rewrap(on: Database, vault: Vault, where: SealedColumn, row: sa.RowMapping) -> str:
    """A transaction each: locks on two rows could meet those of somebody else. Returns the name of a lost one."""
    place = where.place(row)
    try:
        sealed = await vault.rewrap(row[where.column.name], place)
    except CannotOpen:
        return f"{where} {place.row}"
    async with crossing(Reason.KEYS, on=on) as uow:
        await sealed_columns.put(uow, where, row, sealed)
    return ""


async def _referring(on: Database, key_ids: Sequence[str] | Any) -> int:
    async with crossing(Reason.KEYS, on=on) as uow:
        return sum(
            [
                await sealed_columns.count_under(uow, where, key_ids)
                for where in sealed_columns.sealed_columns()
            ]
        )


async def _total(on: Database) -> int:
    async with crossing(Reason.KEYS, on=on) as uow:
        return sum(
            [await sealed_columns.count(uow, where, but=b"-") for where in sealed_columns.sealed_columns()]
        )


async def _settled(on: Database, before: int, settle_s: float) -> None:
    """Wait for transactions that had begun to write by then: they may hold values under the old key."""
    for _ in range(1 + int(settle_s / LOOK_AGAIN_S)):
        if await _number(on, "pg_snapshot_xmin(pg_current_snapshot())") >= before:
            return
        await asyncio.sleep(LOOK_AGAIN_S)
    raise Refused(
        "The old key stays for now: something that began before the new one was current still writes to the "
        "database. Run this again later."
    )


async def _number(on: Database, of: str) -> int:
    """Of a transaction; those that begin to write later have higher ones."""
    async with crossing(Reason.KEYS, on=on) as uow:
        return (await uow.execute(f"select {of}::text::bigint")).scalar_one()


def _read(path: Path) -> Keys:
    keys = key_file.read(path)
    if keys is None:
        raise Refused(f"{path} is missing: put it back from the backup.")
    return keys


@asynccontextmanager
async def _alone(on: Database) -> AsyncGenerator[None]:
    """Hold the lock of rotations; it ends with its connection, however this process ends."""
    connection = await on.unpooled()
    try:
        found = await (await connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,))).fetchone()
        if found != (True,):
            raise Refused("Another rotation of keys runs.")
        try:
            yield
        finally:  # a server lets go of what a closed connection held only by and by
            await connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))
    finally:
        await connection.close()
