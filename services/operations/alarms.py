"""What of the whole installation is worth an alarm, as Prometheus metrics.

A gauge that a worker keeps stands still together with it, so whoever is scraped looks by itself: in the database how
far each subscriber is behind, what waits and since when, what is held, which invariants are broken, whether a worker
lives; in the backup folder how old the newest is; and at what keeps the keys, if they are not in their file.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from services.core import heartbeat
from services.core.clock import SystemClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import MatrixError
from services.core.logs import get_logger
from services.core.settings import Settings
from services.invariants import check
from services.invariants.check import Result
from services.operations import key_watch
from services.operations.folder import newest
from services.operations.queues import Kind, Queue, queues

log = get_logger(__name__)

KEPT_S = 5.0  # scraping more often than that reads nothing
ANSWER_S = 3.0  # then the database counts as one that does not answer

# Name, what it is, and the label that tells its samples apart.
METRICS: dict[str, tuple[str, str]] = {
    "matrix_key_service_answers": ("1 if what keeps the keys elsewhere opens them, else 0", ""),
    "matrix_backup_base_age_seconds": ("Since the newest base backup was begun; infinite without one", ""),
    "matrix_backup_log_age_seconds": ("Since the newest log in the backup folder; infinite without any", ""),
    "matrix_database_answers": ("1 if the database could be asked for what follows, else 0", ""),
    "matrix_worker_seen_seconds": ("Since a worker last gave a sign of life", ""),
    "matrix_subscriber_lag_events": ("Events a subscriber has not handled, at most 10,000", "subscriber"),
    "matrix_queue_waiting": ("Events without a position, usage not summed up, jobs not done", "queue"),
    "matrix_queue_age_seconds": ("How long the oldest in a queue has been due", "queue"),
    "matrix_jobs_held": ("Jobs that failed for good and wait for a person", "job"),
    "matrix_invariant_broken": ("1 while an invariant is broken, 0 while it holds", "invariant"),
    "matrix_invariant_checked_seconds": ("Since the invariant that was not checked for longest was", ""),
}

Sample = tuple[str, str, float]  # name, value of the label, value


@dataclass(slots=True)
class _Kept:
    """What was last read `of` one database and beside it; good `until` then, by the process's own clock."""

    of: Database | None = None
    text: bytes = b""
    until: float = 0.0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


_kept = _Kept()


async def exposition(on: Database, chosen: Settings) -> bytes:
    """METRICS in Prometheus' text format, KEPT_S old at most. Never raises, and takes little longer than ANSWER_S."""
    global _kept
    if _kept.of is not on:
        _kept = _Kept(on)
    kept = _kept
    async with kept.reading:  # many scrapers read once
        if time.monotonic() >= kept.until:
            around, stored = await asyncio.gather(beside(chosen), samples(on))
            kept.text = _text([*around, *stored])
            kept.until = time.monotonic() + KEPT_S
        return kept.text


async def beside(chosen: Settings) -> list[Sample]:
    """What stands still outside the database, if settings say that there is any of it."""
    opens = await key_watch.opens(chosen)
    keys = [] if opens is None else [("matrix_key_service_answers", "", float(opens))]
    if chosen.backup_dir is None or chosen.database_url is not None:
        return keys
    found, now = await asyncio.to_thread(newest, chosen.backup_dir), SystemClock().now()
    ages = {"base": found.base, "log": found.log}
    return [
        *keys,
        *(
            (f"matrix_backup_{part}_age_seconds", "", (now - at).total_seconds() if at else math.inf)
            for part, at in ages.items()
        ),
    ]


async def samples(on: Database, *, within_s: float = ANSWER_S) -> list[Sample]:
    """What the database says, or that it does not answer."""
    try:
        async with asyncio.timeout(within_s):
            return [("matrix_database_answers", "", 1.0), *await _read(on)]
    except (TimeoutError, MatrixError, SQLAlchemyError) as error:
        log.warning("alarms_not_read", error=type(error).__name__)
        return [("matrix_database_answers", "", 0.0)]


async def _read(on: Database) -> list[Sample]:
    seen = await heartbeat.age(on)
    async with crossing(Reason.INVARIANTS, on=on) as uow:
        results, now = await check.results(uow), uow.wall_now
    worker = [] if seen is None else [("matrix_worker_seen_seconds", "", max(seen.total_seconds(), 0.0))]
    return [*worker, *_of_queues(await queues(on)), *_of_invariants(results, now)]


def _of_queues(found: Iterable[Queue]) -> Iterator[Sample]:
    for queue in found:
        lag = queue.kind is Kind.SUBSCRIBER
        yield "matrix_subscriber_lag_events" if lag else "matrix_queue_waiting", queue.name, queue.waiting
        if queue.kind is not Kind.USAGE:  # which has no age
            age_s = queue.age.total_seconds() if queue.age is not None else 0.0
            yield "matrix_queue_age_seconds", queue.name, age_s
        if queue.kind is Kind.JOB:
            yield "matrix_jobs_held", queue.name, queue.held


def _of_invariants(results: list[Result], now: datetime) -> Iterator[Sample]:
    checked = [result for result in results if result.checked_at is not None]
    for result in checked:
        yield "matrix_invariant_broken", result.name, float(result.broken_since is not None)
    if checked:
        oldest = min(result.checked_at for result in checked if result.checked_at is not None)
        yield "matrix_invariant_checked_seconds", "", max((now - oldest).total_seconds(), 0.0)


@dataclass(eq=False, slots=True)
class _Collected(Collector):
    found: list[Sample]

    def collect(self) -> Iterator[Metric]:
        for name, (about, label) in METRICS.items():
            family = GaugeMetricFamily(name, about, labels=[label] if label else [])
            for sample, value_of_label, value in self.found:
                if sample == name:
                    family.add_metric([value_of_label] if label else [], value)
            yield family


def _text(found: list[Sample]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(found))
    return generate_latest(registry)
