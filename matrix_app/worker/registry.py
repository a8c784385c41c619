"""What the worker has to do: who follows the event log, and what happens again and again.

Importing this module also declares the jobs, which live beside the subscribers that enqueue them.
"""

from __future__ import annotations

from matrix_app.worker import backups
from matrix_app.worker.schedules import Schedule
from services.core.relay import Subscriber
from services.identity import retention
from services.metering import rollup
from services.notify import subscribers as notify

SUBSCRIBERS: list[Subscriber] = [*notify.SUBSCRIBERS]

SCHEDULES: list[Schedule] = [
    Schedule("usage roll-ups", every_s=1, run=rollup.compact),
    Schedule("retention", every_s=3_600, run=retention.forget_expired),
    Schedule("backup log and files", every_s=30, run=backups.collect_what_is_new),
    Schedule("backup", every_s=600, run=backups.back_up_daily),
]
