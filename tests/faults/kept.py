"""What the product has kept of the crowd's writes, compared with what it told them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import RowMapping

from services.core.crossing import Reason, crossing
from services.metering.recording import Status
from tests.bench.parties import Party
from tests.bench.product import Product
from tests.faults.writers import METER, SOURCE, Write, Writers

_KEYS = (
    "select id, name, revoked_at from api_key where organization_id = :organization and name like 'kept %'"
)
# What was recorded of the keys, which the relay hands on: once for each, like the row.
_RECORDED = """
select type, aggregate_id from event
where organization_id = :organization and type in ('api_key.created', 'api_key.revoked')
"""
_BATCHES = """
select split_part(event_id, '/', 1) as name, count(*) as events,
  sum((properties->>'pages')::int) as pages from usage_event
where organization_id = :organization and source = :source group by 1
"""
_EXPORTS = """
select t.id, t.state, t.error, t.result, t.parameters->'filters'->0->>1 as name, t.file_id, f.stored_at,
  f.deleted_at, encode(f.sha256, 'hex') as sha256
from task t left join stored_file f on f.id = t.file_id
where t.organization_id = :organization and t.kind = 'export'
"""
_HELD = "select count(*) from stored_file where organization_id = :organization and purged_at is null"


async def unended() -> list[str]:
    """Tasks that are still under way."""
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute("select id, state from task where state in ('waiting', 'running')")
        return [f"{row.id} is {row.state}" for row in found]


async def write_faults(product: Product, party: Party, writers: Writers) -> list[str]:
    """What does not agree, in words; nothing when all is well."""
    owner = party.organization_id
    async with crossing(Reason.INVARIANTS) as uow:
        keys = (await uow.execute(_KEYS, organization=owner)).mappings().all()
        recorded = Counter(
            (row.type, row.aggregate_id) for row in await uow.execute(_RECORDED, organization=owner)
        )
        batches = (await uow.execute(_BATCHES, organization=owner, source=SOURCE)).mappings().all()
        exports = (await uow.execute(_EXPORTS, organization=owner)).mappings().all()
        held = (await uow.execute(_HELD, organization=owner)).scalar_one()
    return [
        *writers.refusals,
        *_told_apart("key", writers.keys, keys),
        *_key_faults(writers.keys, keys, recorded),
        *_batch_faults(writers.batches, batches),
        *_total_faults(product, party, sum(row["pages"] for row in batches)),
        *_told_apart("export", writers.exports, exports),
        *_export_faults(product, party, exports, held),
    ]


def _told_apart(what: str, written: Sequence[Write], rows: Sequence[RowMapping]) -> list[str]:
    """Each acknowledged write is there once, as it was told; each other at most once; and nothing else."""
    by_name: dict[str, list[str]] = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row["id"])
    faults = [
        f"{what} {name} is there and nobody wrote it" for name in by_name.keys() - {w.name for w in written}
    ]
    for write in written:
        there = by_name.get(write.name, [])
        if write.answer is not None and there != [write.answer["id"]]:
            faults.append(f"{what} {write.name} was told as {write.answer['id']} and is there as {there}")
        elif len(there) > 1:
            faults.append(f"{what} {write.name}, never answered, is there as {there}")
    return faults


def _key_faults(
    written: Sequence[Write], rows: Sequence[RowMapping], recorded: Counter[tuple[str, str]]
) -> list[str]:
    revoked = {row["id"] for row in rows if row["revoked_at"] is not None}
    faults = [
        f"{write} was told to be revoked and is not"
        for write in written
        if write.answer is not None and write.revoked and write.answer["id"] not in revoked
    ]
    for row in rows:
        told = [recorded["api_key.created", row["id"]], recorded["api_key.revoked", row["id"]]]
        if told != [1, int(row["id"] in revoked)]:
            faults.append(f"{row} has {told[0]} events of its making and {told[1]} of its end")
    return faults


def _batch_faults(written: Sequence[Write], rows: Sequence[RowMapping]) -> list[str]:
    stored = {row["name"]: row for row in rows}
    faults = [
        f"{name} is counted and nobody sent it" for name in stored.keys() - {one.name for one in written}
    ]
    for batch in written:
        row = stored.get(batch.name)
        if row is None and batch.acknowledged:
            faults.append(f"{batch} is lost")
        elif row is not None and (row["events"], row["pages"]) != (batch.events, batch.pages):
            faults.append(f"{batch} is counted as {row['events']} events of {row['pages']} pages")
        if batch.answer is not None:
            told = Counter(one["status"] for one in batch.answer["events"])
            if told not in ({Status.ACCEPTED: batch.events}, {Status.DUPLICATE: batch.events}):
                faults.append(f"{batch} was taken in parts: {told}")
    return faults


def _total_faults(product: Product, party: Party, pages: int) -> list[str]:
    answer = product.ask("GET", f"/api/v1/usage/totals?meter={METER}", headers={"Cookie": party.cookie})
    shown = sum(Decimal(one["quantity"]) for one in answer.json()["data"])
    return [] if shown == pages else [f"the meter says {shown} pages, the events say {pages}"]


def _export_faults(product: Product, party: Party, rows: Sequence[RowMapping], held: int) -> list[str]:
    faults: list[str] = []
    made = 0
    for row in rows:
        if row["state"] == "failed" and row["error"]:
            continue
        if row["state"] != "done" or row["stored_at"] is None or row["deleted_at"] is not None:
            faults.append(f"{dict(row)} has ended without a file and without a reason")
            continue
        made += 1
        faults += _file_faults(row, _content(product, party, row["file_id"]))
    return faults if held == made else [*faults, f"{held} files are kept for {made} exports"]


def _file_faults(row: RowMapping, content: bytes) -> list[str]:
    ids = [line.partition(b",")[0] for line in content.splitlines()[1:]]
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        return [f"the file of {row['id']} is another than was made"]
    if len(ids) != len(set(ids)) or len(ids) != row["result"]["rows"]:
        return [
            f"{row['id']} says {row['result']}, its file has {len(ids)} rows, {len(set(ids))} different ones"
        ]
    return []


def _content(product: Product, party: Party, file_id: str) -> bytes:
    headers = {"Cookie": party.cookie, "X-Matrix-CSRF": "1"}
    link = product.ask("POST", f"/api/v1/files/{file_id}/link", headers=headers).json()["url"]
    return product.ask("GET", link).body
