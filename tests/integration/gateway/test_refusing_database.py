"""A database that answers but refuses every write, as after a failover or before its migration."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from services.core.database import libpq_url
from tests.integration.gateway.house import House

ASK: Any = [{"role": "user", "content": "Say five words."}]


async def test_no_call_is_set_aside_for_what_is_no_fault_of_its_own(gateway: House, owner_url: str) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url), autocommit=True) as owner:
        await owner.execute("revoke insert on request from matrix_crossing")
        for _ in range(3):
            await ana.ai.chat.completions.create(model="plain", messages=ASK)
        with pytest.raises(DBAPIError):
            await gateway.gateway.settler.settle_waiting()
        await owner.execute("grant insert on request to matrix_crossing")

    rows = await gateway.rows(ana.organization)

    assert [row["status"] for row in rows] == [200] * 3
    assert not any(segment.parked for segment in gateway.gateway.journal.segments())
    assert (await gateway.usage(ana.organization))["completion_tokens"] == 15
