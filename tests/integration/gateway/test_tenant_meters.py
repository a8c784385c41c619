"""A tenant's own meters over the gateway's calls: whatever they look for, every call is booked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from models.identity import Organization
from models.types import Aggregation
from services.core.work import unit_of_work
from services.metering import queries
from services.metering.service import create_meter
from tests.checks import assert_rollups_equal_raw
from tests.integration.gateway.house import House

ASK: Any = [{"role": "user", "content": "Say five words."}]

# One of each kind that a call's usage event has: numbers, text, what is there only for failures, nothing.
PROPERTIES = ("prompt_tokens", "completion_tokens", "status", "endpoint", "failed", "no_such_property")


async def make_meters(gateway: House, organization: Organization) -> list[str]:
    """Every aggregation of every property, each a meter of the organisation's own."""
    wanted = [("count", Aggregation.COUNT, None)] + [
        (f"{aggregation}_{name}", aggregation, name)
        for aggregation in Aggregation
        if aggregation is not Aggregation.COUNT
        for name in PROPERTIES
    ]
    async with unit_of_work(gateway.world.actor(organization), on=gateway.database) as uow:
        for slug, aggregation, value_property in wanted:
            await create_meter(
                uow,
                slug=slug,
                name=slug,
                event_type="ai.request",
                aggregation=aggregation,
                value_property=value_property,
            )
    return [slug for slug, _, _ in wanted]


async def test_no_meter_of_a_tenant_keeps_its_calls_from_being_booked(gateway: House) -> None:
    await gateway.furnish("plain", "bad+status=500")
    ana, ben = await gateway.client(), await gateway.client()
    slugs = await make_meters(gateway, ana.organization)

    for client in (ana, ben):
        for model, status in (("plain", 200), ("plain", 200), ("bad-status-500", 502)):
            answer = await client.http.post("/chat/completions", json={"model": model, "messages": ASK})
            assert answer.status_code == status

    for client in (ana, ben):
        rows = await gateway.rows(client.organization)
        assert [row["status"] for row in rows] == [200, 200, 502]
        assert await gateway.usage(client.organization) == {
            "requests": 3,
            "prompt_tokens": sum(row["prompt_tokens"] for row in rows),
            "completion_tokens": sum(row["completion_tokens"] for row in rows),
        }
    assert (gateway.gateway.settler.parked, gateway.gateway.settler.unsettled) == (0, 0)
    figures = await totals(gateway, ana.organization, slugs)
    assert figures["count"] == (3, 3)
    assert figures["unique_endpoint"] == (3, 1)
    assert figures["max_status"] == (3, 502)
    # What is no number adds nothing to a meter that needs one.
    assert figures["sum_endpoint"] == (0, 0)
    assert figures["average_no_such_property"] == (0, None)
    await assert_rollups_equal_raw(gateway.database)


async def totals(gateway: House, organization: Organization, slugs: list[str]) -> dict[str, tuple[int, Any]]:
    """Events and quantity of each meter over the last hour."""
    found: dict[str, tuple[int, Any]] = {}
    async with unit_of_work(gateway.world.actor(organization), on=gateway.database) as uow:
        start, end = uow.now - timedelta(hours=1), uow.now + timedelta(minutes=1)
        for slug in slugs:
            (total,) = await queries.totals(uow, meter=slug, start=start, end=end)
            found[slug] = (total.figure.events, total.figure.quantity)
    return found
