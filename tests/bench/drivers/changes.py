"""Usage that is booked at a steady pace: one request of each organisation, committed together.

Options: data_dir, organizations, model, every_s, seconds. Tells the moment after each commit, by the clock that
all processes of a machine share.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from services.core import database as databases
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.ids import new_id
from services.core.postgres import EmbeddedPostgres
from services.core.work import unit_of_work
from services.metering import queries, rules, service
from tests.bench.drivers import every, serve


class Changes:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._database: Database | None = None

    async def prepare(self) -> None:
        embedded = EmbeddedPostgres(Path(self._options["data_dir"]))
        self._database = databases.connect(embedded.app_url(), pool_size=2)
        databases.install(self._database)
        await self._change()

    async def drive(self) -> dict[str, Any]:
        before = [await _requests_of_the_month(one) for one in self._options["organizations"]]
        committed: list[float] = []
        async for _ in every(self._options["every_s"], self._options["seconds"]):
            await self._change()
            committed.append(time.monotonic())
        # What the overview of each organisation says once the change of the same place has arrived.
        requests = [[known + place for place in range(1, len(committed) + 1)] for known in before]
        return {"committed": committed, "requests": requests}

    async def _change(self) -> None:
        async with crossing(Reason.GATEWAY_SETTLEMENT) as uow:
            await service.record(
                uow,
                [
                    rules.gateway_event(
                        organization_id=organization,
                        request_id=new_id("req"),
                        time=uow.wall_now,
                        model=self._options["model"],
                        key_id="",
                        prompt_tokens=20,
                        completion_tokens=50,
                        endpoint="chat",
                        status=200,
                    )
                    for organization in self._options["organizations"]
                ],
            )

    async def close(self) -> None:
        databases.install(None)
        if self._database is not None:
            await self._database.close()


async def _requests_of_the_month(organization_id: str) -> int:
    async with unit_of_work(system(organization_id)) as uow:
        return (await queries.overview(uow)).month.requests


if __name__ == "__main__":
    serve(Changes)
