"""The command for jobs that failed for good: who runs the installation looks at them and sends them again."""

from __future__ import annotations

from services.core import jobs
from services.core.database import Database
from services.core.errors import Conflict, NotFound
from services.core.jobs import Retried
from services.operations.held_jobs import HeldJob, oldest

HELD_JOBS_MAX = 1_000  # of one list
NOTHING_HELD = "No job is held."
_HEADS = ("ID", "JOB", "TRIES", "ENQUEUED", "HELD", "ERROR")


async def listed(on: Database) -> str:
    """A table of what is held, the oldest first, or a sentence when nothing is."""
    held = await oldest(on, limit=HELD_JOBS_MAX)
    if not held:
        return NOTHING_HELD
    more = [f"These are the oldest {len(held):,}; there may be more."] if len(held) == HELD_JOBS_MAX else []
    return "\n".join([*_table(held), *more])


async def sent_again(on: Database, which: str) -> str:
    """Send one held job again, by its number, or "all" that a list shows. Returns what was done.

    Raises NotFound for a job that is not held, and Conflict when the same work waits already.
    """
    ids = [one.id for one in await oldest(on, limit=HELD_JOBS_MAX)] if which == "all" else [int(which)]
    if not ids:
        return NOTHING_HELD
    retried = await jobs.retry(on, ids)
    if which != "all" and retried.not_held:
        raise NotFound(f"No job {which} is held.", next_step="List those that are with `matrix jobs`.")
    if retried.waiting_already and not retried.again:
        raise Conflict(_not_sent(retried), next_step="It needs no second time.")
    done = f"{_jobs(retried.again)} sent again."
    return f"{done} {_not_sent(retried)}" if retried.waiting_already else done


def _not_sent(retried: Retried) -> str:
    return f"{_jobs(retried.waiting_already)} not sent again: the same work waits already."


def _jobs(number: int) -> str:
    return f"{number:,} job" if number == 1 else f"{number:,} jobs"


def _table(held: list[HeldJob]) -> list[str]:
    """Lines in columns as wide as their widest cell. Times are UTC."""
    rows = [
        (
            str(one.id),
            one.name,
            str(one.tries),
            f"{one.enqueued_at:%Y-%m-%dT%H:%MZ}",
            f"{one.held_at:%Y-%m-%dT%H:%MZ}",
            one.error,
        )
        for one in held
    ]
    widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (_HEADS, *rows)
    ]
