"""What the product has booked, compared with what was really answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.core.crossing import Reason, crossing
from tests.bench.stub import PROMPT_BASE, Answered
from tests.fakes.smtp import Received
from tests.faults.callers import Outcome, Seen

# Ways of a call that owes nothing: no token of it left us.
_ROLLED_UP = """
select m.slug,
  (select coalesce(sum(events), 0) from usage_{table} where meter_id = m.id and organization_id = :organization)
    + coalesce(sum(d.events), 0) as events,
  (select coalesce(sum(quantity), 0) from usage_{table} where meter_id = m.id and organization_id = :organization)
    + coalesce(sum(d.quantity), 0) as quantity,
  (select coalesce(sum(cost), 0) from usage_{table} where meter_id = m.id and organization_id = :organization)
    + coalesce(sum(d.cost), 0) as cost
from meter m left join usage_delta d on d.meter_id = m.id and d.organization_id = :organization
where m.organization_id is null group by m.id, m.slug
"""
_RAW = """
select count(*) as requests, coalesce(sum((properties->>'prompt_tokens')::numeric), 0) as prompt_tokens,
  coalesce(sum((properties->>'completion_tokens')::numeric), 0) as completion_tokens,
  coalesce(sum(cost), 0) as cost
from usage_event where organization_id = :organization and source = 'gateway'
"""
_UNEQUAL = """
select coalesce(r.id, u.event_id) as id, r.prompt_tokens, r.completion_tokens, r.cost, u.properties,
  u.cost as usage_cost
from (select * from request where organization_id = :organization) r
full join (select * from usage_event where organization_id = :organization and source = 'gateway') u
  on u.event_id = r.id
where r.id is null or u.event_id is null
  or r.prompt_tokens <> (u.properties->>'prompt_tokens')::int
  or r.completion_tokens <> (u.properties->>'completion_tokens')::int
  or r.cost is distinct from u.cost
"""
_UNWRITTEN_MAIL = """
select count(*) from event e where e.type = 'account.signed_up'
  and not exists (select from mail m where m.dedupe_key = 'event:' || e.id)
"""


@dataclass(frozen=True, slots=True)
class Booked:
    """One row of `request`. `number` is the call's own, None where no token was counted."""

    id: str
    number: int | None
    completion_tokens: int
    status: int
    error_code: str


async def booked(organization_id: str) -> list[Booked]:
    async with crossing(Reason.INVARIANTS) as uow:
        rows = await uow.execute(
            "select id, prompt_tokens, completion_tokens, status, error_code from request"
            " where organization_id = :organization",
            organization=organization_id,
        )
        return [
            Booked(
                row.id,
                row.prompt_tokens - PROMPT_BASE if row.prompt_tokens else None,
                row.completion_tokens,
                row.status,
                row.error_code,
            )
            for row in rows
        ]


def compare(rows: Sequence[Booked], seen: Sequence[Seen], answered: Sequence[Answered]) -> list[str]:
    """What does not agree, in words; nothing when all is well."""
    counted = [row for row in rows if row.number is not None]
    numbers = Counter(row.number for row in counted)
    faults = [f"call {number} is booked {times} times" for number, times in numbers.items() if times > 1]
    by_number = {row.number: row for row in counted}
    log = {one.number: one for one in answered}
    for call in seen:
        faults += _faults_of(call, by_number.get(call.number), log.get(call.number))
    faults += [
        f"call {number} is booked and nobody made it" for number in numbers.keys() - {c.number for c in seen}
    ]
    faults += [
        f"{row} owes nothing but is booked as answered"
        for row in rows
        if row.number is None and row.status < 400
    ]
    troubled = sum(call.outcome is not Outcome.WHOLE for call in seen)
    if len(rows) - len(counted) > troubled:
        faults.append(
            f"{len(rows) - len(counted)} rows without tokens, but only {troubled} calls had trouble"
        )
    return faults


def _faults_of(call: Seen, row: Booked | None, answered: Answered | None) -> list[str]:
    if call.outcome is Outcome.WHOLE:
        if answered is None or not answered.whole:
            return [f"{call} is whole, but the model server says {answered}"]
        if row is None:
            return [f"{call} is not booked"]
        if (row.completion_tokens, row.status) != (answered.completion_tokens, 200):
            return [f"{call} was answered as {answered} and is booked as {row}"]
        return []
    if call.tokens and row is None:
        return [f"{call} got tokens and is not booked"]
    if row is None:
        return []
    most = answered.made if answered is not None else call.asked
    if not call.tokens <= row.completion_tokens <= most:
        return [f"{call}: between {call.tokens} and {most} tokens were sent, booked is {row}"]
    return []


async def inner_faults(organization_id: str) -> list[str]:
    """Disagreements between request rows, usage events and their roll-ups."""
    async with crossing(Reason.INVARIANTS) as uow:
        unequal = (await uow.execute(_UNEQUAL, organization=organization_id)).mappings().all()
        faults = [f"request and usage event differ: {dict(row)}" for row in unequal]
        raw = (await uow.execute(_RAW, organization=organization_id)).mappings().one()
        for table in ("minute", "hour", "day"):
            found = (
                await uow.execute(_ROLLED_UP.format(table=table), organization=organization_id)
            ).mappings()
            sums = {row["slug"]: row for row in found}
            faults += _roll_up_faults(table, sums, raw)
    return faults


def _roll_up_faults(table: str, sums: dict[str, Any], raw: Any) -> list[str]:
    pairs = {
        "requests": (sums["requests"]["quantity"], raw["requests"]),
        "prompt_tokens": (sums["prompt_tokens"]["quantity"], raw["prompt_tokens"]),
        "completion_tokens": (sums["completion_tokens"]["quantity"], raw["completion_tokens"]),
        "cost": (sum(row["cost"] for row in sums.values()), raw["cost"]),
    }
    return [
        f"usage_{table} says {rolled_up} {what}, the events say {counted}"
        for what, (rolled_up, counted) in pairs.items()
        if rolled_up != counted
    ]


async def undelivered() -> list[str]:
    """Events without a position, subscribers that are not at the end, mail that no job has written."""
    async with crossing(Reason.INVARIANTS) as uow:
        waiting = (await uow.execute("select count(*) from event where position is null")).scalar_one()
        last = (await uow.execute("select coalesce(max(position), 0) from event")).scalar_one()
        behind = await uow.execute(
            "select name, position from subscriber_cursor where position < :last", last=last
        )
        found = [f"{waiting} events have no position"] if waiting else []
        found += [f"{row.name} is at {row.position} of {last}" for row in behind]
        unwritten = (await uow.execute(_UNWRITTEN_MAIL)).scalar_one()
        return [*found, f"{unwritten} sign-ups have no mail"] if unwritten else found


async def unsent() -> list[str]:
    """Mail that no server has taken."""
    async with crossing(Reason.INVARIANTS) as uow:
        rows = await uow.execute("select recipient, error from mail where sent_at is null")
        return [f"a mail to {row.recipient} was not sent: {row.error}" for row in rows]


async def mail_faults(addresses: Sequence[str], received: Sequence[Received]) -> list[str]:
    """Each of `addresses` with an account must have got exactly one mail, the others none.

    One may arrive twice when its sender died before noting the server's yes; then both are one by their Message-ID.
    """
    async with crossing(Reason.INVARIANTS) as uow:
        accounts = set((await uow.execute("select email from account")).scalars())
    arrived = {(to, str(one.message["Message-ID"])) for one in received for to in one.recipients}
    mails = Counter(to for to, _ in arrived)
    return [
        f"{address} got {mails[address]} mails"
        for address in addresses
        if mails[address] != (1 if address in accounts else 0)
    ]
