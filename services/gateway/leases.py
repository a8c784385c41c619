"""Shares of limits, leased from PostgreSQL: many processes, one limit, no query per call.

A process takes a share for LEASE_S and renews it every RENEW_S by what was asked of it meanwhile. It never
takes what another's unexpired lease still holds, so the shares held at any moment never add up to more than
the limit. A newcomer that finds everything held wakes the holders, who give back by renewing at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.work import UnitOfWork
from services.gateway import rules

LEASE_S = 15.0
RENEW_S = 5.0
LEASES_WANTED = "matrix_leases_wanted"  # payload: subjects of which a newcomer wants a part
SUBJECTS_PER_RENEWAL_MAX = 500
FORGOTTEN_AFTER_S = 3_600

# One lock per subject, in one order: two processes dividing the same limits wait instead of deadlocking.
_LOCK = (
    "select pg_advisory_xact_lock(hashtextextended(subject, 42))"
    " from (select distinct unnest(cast(:subjects as text[])) as subject order by 1) as locks"
)
_OTHERS = (
    "select subject, demand_per_minute, share_per_minute from rate_lease"
    " where subject = any(:subjects) and process <> :process and expires_at > clock_timestamp()"
)
_TAKE = (
    "insert into rate_lease (subject, process, share_per_minute, demand_per_minute, expires_at)"
    " select subject, :process, share, demand, clock_timestamp() + make_interval(secs => :lease_s)"
    " from unnest(cast(:subjects as text[]), cast(:shares as int[]), cast(:demands as int[]))"
    " as taken(subject, share, demand)"
    " on conflict (subject, process) do update set share_per_minute = excluded.share_per_minute,"
    " demand_per_minute = excluded.demand_per_minute, expires_at = excluded.expires_at"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subject, its limit, and the units a minute asked of this process."""

    subject: str
    limit: int
    demand: int


@dataclass(frozen=True, slots=True)
class Share:
    """What a process may let through until LEASE_S after it asked. `contested`: others hold the rest."""

    per_minute: int
    contested: bool


class Leases:
    """The leases of one process. Raises Unavailable when the database is away."""

    def __init__(self, on: Database, process: str) -> None:
        self._on = on
        self._process = process

    async def renew(self, wanted: Sequence[Wanted]) -> dict[str, Share]:
        """Take or renew a share of each subject."""
        shares: dict[str, Share] = {}
        for start in range(0, len(wanted), SUBJECTS_PER_RENEWAL_MAX):
            async with crossing(Reason.LEASES, on=self._on) as uow:
                part = wanted[start : start + SUBJECTS_PER_RENEWAL_MAX]
                shares |= await divide_among(uow, self._process, part)
        return shares

    async def give_back(self, subjects: Sequence[str]) -> None:
        """End leases early, so that others need not wait for them."""
        if subjects:
            async with crossing(Reason.LEASES, on=self._on) as uow:
                await uow.execute(
                    "delete from rate_lease where process = :process and subject = any(:subjects)",
                    process=self._process,
                    subjects=list(subjects),
                )

    async def sweep(self) -> None:
        """Delete rows of leases that ended long ago."""
        async with crossing(Reason.LEASES, on=self._on) as uow:
            await uow.execute(
                "delete from rate_lease where expires_at < clock_timestamp() - make_interval(secs => :age_s)",
                age_s=FORGOTTEN_AFTER_S,
            )

    def ask_holders(self, subjects: Sequence[str]) -> None:
        """Have other processes renew these leases now, and so give back what a newcomer is due."""
        for subject in subjects:
            self._on.wakeups.poke(LEASES_WANTED, subject)


async def divide_among(uow: UnitOfWork, process: str, wanted: Sequence[Wanted]) -> dict[str, Share]:
    """Give `process` its shares beside what others hold now. The rows are locked until commit."""
    subjects = [one.subject for one in wanted]
    await uow.execute(_LOCK, subjects=subjects)
    others: dict[str, list[rules.Claim]] = defaultdict(list)
    for row in await uow.execute(_OTHERS, subjects=subjects, process=process):
        others[row.subject].append(rules.Claim(row.demand_per_minute, row.share_per_minute))
    shares = {one.subject: rules.divide(one.limit, one.demand, others[one.subject]) for one in wanted}
    await uow.execute(
        _TAKE,
        process=process,
        lease_s=LEASE_S,
        subjects=subjects,
        shares=[shares[subject] for subject in subjects],
        demands=[min(one.demand, 2**31 - 1) for one in wanted],
    )
    return {subject: Share(share, bool(others[subject])) for subject, share in shares.items()}
