"""What the worker has to do: who follows the event log, and what happens again and again.

Importing this module also declares the jobs, which live beside the subscribers that enqueue them.
"""

from __future__ import annotations

from matrix_app.worker.schedules import Schedule
from services.core import heartbeat
from services.core.relay import Subscriber
from services.identity import retention
from services.invariants import check
from services.metering import rollup
from services.notify import subscribers as notify

SUBSCRIBERS: list[Subscriber] = [*notify.SUBSCRIBERS]

SCHEDULES: list[Schedule] = [
    Schedule("heartbeat", every_s=heartbeat.BEAT_S, run=heartbeat.beat),
    Schedule("usage roll-ups", every_s=1, run=rollup.compact),
    Schedule("retention", every_s=3_600, run=retention.forget_expired),
    Schedule("invariants", every_s=check.CHECK_EVERY_S, run=check.check_all),
]
