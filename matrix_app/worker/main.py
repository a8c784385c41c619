"""The worker: relay, subscribers, jobs and schedules in one process. More of them may run side by side."""

from __future__ import annotations

import asyncio
import signal

from prometheus_client import start_http_server

from matrix_app.worker.registry import SCHEDULES, SUBSCRIBERS
from matrix_app.worker.schedules import repeat
from services.core import jobs, runtime
from services.core.logs import get_logger
from services.core.relay import Relay, follow
from services.core.settings import Settings
from services.payments import cashier as cashiers
from services.payments.cashier import Cashier

log = get_logger(__name__)


async def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Everything here may be killed at any point and takes up where it was."""
    on = await runtime.start(settings, "worker")
    cashiers.install(Cashier(public_url=settings.public_url, allowed=settings.allow_private_upstreams, on=on))
    if settings.worker_metrics_port is not None:
        start_http_server(settings.worker_metrics_port, addr="127.0.0.1")
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    tasks = [
        asyncio.create_task(Relay(on).run(), name="relay"),
        asyncio.create_task(follow(SUBSCRIBERS, on), name="subscribers"),
        asyncio.create_task(jobs.work(on), name="jobs"),
        *(asyncio.create_task(repeat(schedule, on), name=schedule.name) for schedule in SCHEDULES),
    ]
    log.info(
        "worker_started", subscribers=[s.name for s in SUBSCRIBERS], schedules=[s.name for s in SCHEDULES]
    )
    stop = asyncio.create_task(stopping.wait(), name="stop")
    done, _ = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await cashiers.close()
    await runtime.stop()
    for task in done - {stop}:
        task.result()  # a part that ended by itself is a fault: fail loudly, the supervisor starts us again
