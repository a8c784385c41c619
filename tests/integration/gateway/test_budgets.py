"""Budgets: what calls use is counted exactly, people are told once, and a budget that stops is never exceeded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from models.budgets import Budget, BudgetAction, BudgetMeasure, BudgetPeriod
from models.types import BillingMode, Role
from services.budgets import budgets, queries, rules
from services.budgets.budgets import NewBudget
from services.budgets.rules import Terms, Throttle
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden, Invalid, NotFound, StaleVersion
from services.core.listing_sql import select
from services.core.work import unit_of_work
from tests.integration.gateway.house import Client, House
from tests.integration.gateway.test_prepaid import ASK, BODY, COST, MOST, crowd, fill, furnish

LIMITED = NewBudget(
    "All", BudgetMeasure.COST, BudgetPeriod.MONTH, Decimal(1), BudgetAction.STOP, thresholds=(50, 100)
)


async def make(house: House, client: Client, given: NewBudget) -> Budget:
    async with unit_of_work(house.world.actor(client.organization), on=house.database) as uow:
        made = await budgets.create_budget(uow, given)
    await house.gateway.directory.load()  # as the notification has it done
    return made


async def spent(house: House, client: Client) -> dict[str, Decimal]:
    await house.gateway.settler.settle_waiting()
    async with unit_of_work(house.world.actor(client.organization), on=house.database) as uow:
        return {row.name: row.spent for row in await select(uow, queries.BUDGETS)}


async def told(house: House) -> list[tuple[str, int]]:
    async with crossing(Reason.INVARIANTS, on=house.database) as uow:
        found = await uow.execute(
            "select payload from event where type = 'budget.threshold_reached' order by id"
        )
        return [(payload["name"], payload["percent"]) for payload in found.scalars()]


async def test_a_budget_stops_at_the_last_call_that_fits_and_tells_of_each_threshold_once(
    gateway: House,
) -> None:
    await furnish(gateway)
    ana = await gateway.client()
    for _ in range(2):  # before there was a budget
        await ana.ai.chat.completions.create(model="plain", messages=ASK, max_tokens=5)
    await gateway.gateway.settler.settle_waiting()
    made = await make(gateway, ana, LIMITED)
    assert (await spent(gateway, ana))["All"] == 2 * COST

    passed = 2 + await crowd([ana], 6)
    while (await ana.http.post("/chat/completions", json=BODY)).status_code == 200:
        passed += 1

    assert passed == int((1 - MOST) // COST) + 1
    assert (await spent(gateway, ana))["All"] == passed * COST
    refused = (await ana.http.post("/chat/completions", json=BODY)).json()["error"]
    assert refused["code"] == "insufficient_quota"
    assert "0.0874 USD of a budget of this month is free" in refused["message"]
    assert await told(gateway) == [("All", 50)]  # 91 % were reached

    async with unit_of_work(gateway.world.actor(ana.organization), on=gateway.database) as uow:
        await budgets.change_budget(uow, made.id, limit=Decimal("0.95"), version=made.version)
    with pytest.raises(StaleVersion):
        async with unit_of_work(gateway.world.actor(ana.organization), on=gateway.database) as uow:
            await budgets.change_budget(uow, made.id, limit=Decimal(9), version=made.version)
    assert (await ana.http.post("/chat/completions", json=BODY)).status_code == 429
    async with unit_of_work(gateway.world.actor(ana.organization), on=gateway.database) as uow:
        await budgets.archive_budget(uow, made.id)
    assert (
        await ana.http.post("/chat/completions", json=BODY)
    ).status_code == 200  # also before word has come


async def test_a_budget_that_throttles_leaves_so_many_calls_a_minute_once_it_is_used_up(
    gateway: House,
) -> None:
    await furnish(gateway)
    ana = await gateway.client()
    given = replace(
        LIMITED, name="Slow", measure=BudgetMeasure.TOKENS, limit=Decimal(24), action=BudgetAction.THROTTLE,
        requests_per_minute=2, model="plain",
    )  # fmt: skip
    made = await make(gateway, ana, given)
    stands = time.monotonic()
    gateway.gateway.limiter.clock = lambda: stands  # nothing flows off

    async def call(model: str = "plain") -> httpx.Response:
        answer = await ana.http.post("/chat/completions", json={**BODY, "model": model})
        await gateway.gateway.settler.settle_waiting()
        await gateway.gateway.directory.load()  # as the notification has it done
        return answer

    answers = [await call() for _ in range(5)]

    assert [one.status_code for one in answers] == [200, 200, 200, 200, 429]
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "budget_throttled"
    assert refused.headers["retry-after"] == "30"
    assert (await call("free")).status_code == 200  # the budget is not about this one
    assert await told(gateway) == [("Slow", 50), ("Slow", 100)]
    async with unit_of_work(gateway.world.actor(ana.organization), on=gateway.database) as uow:
        row = await queries.budget(uow, made.id)
        assert (row.state, row.spent, row.requests_per_minute) == ("throttled", 48, 2)
        await budgets.change_budget(uow, made.id, limit=Decimal(1_000))
    await gateway.gateway.directory.load()
    assert (await call()).status_code == 200
    async with unit_of_work(gateway.world.actor(ana.organization), on=gateway.database) as uow:
        changed = await budgets.change_budget(uow, made.id, action=BudgetAction.NOTIFY)
        assert changed.requests_per_minute is None
    late = Throttle(stopped_terms(), 1, datetime(2026, 4, 1, tzinfo=UTC))
    assert late.covers(key_id="k", model="m", at=datetime(2026, 3, 31, 23, tzinfo=UTC))
    assert not late.covers(key_id="k", model="m", at=datetime(2026, 4, 1, tzinfo=UTC))


def stopped_terms() -> Terms:
    return Terms(
        "bud_1", "org_1", "b", None, "m", BudgetMeasure.COST, BudgetPeriod.MONTH, Decimal(1), "UTC", "EUR"
    )


async def test_each_budget_counts_the_calls_that_it_is_about(gateway: House) -> None:
    await furnish(gateway)
    ana = await gateway.client()
    common = replace(LIMITED, measure=BudgetMeasure.TOKENS, limit=Decimal(24), action=BudgetAction.NOTIFY)
    for name, change in (
        ("all", {}), ("of the key", {"key_id": ana.key.key.id}), ("of another model", {"model": "free"}),
        ("both", {"key_id": ana.key.key.id, "model": "plain"}), ("of the day", {"period": BudgetPeriod.DAY}),
    ):  # fmt: skip
        changed: dict[str, Any] = change
        await make(gateway, ana, replace(common, name=name, **changed))
    stranger = await gateway.client()

    for client, model in ((ana, "plain"), (ana, "free"), (stranger, "plain")):
        await client.ai.chat.completions.create(model=model, messages=ASK, max_tokens=5)

    tokens = await spent(gateway, ana)
    assert tokens == {"all": 24, "of the key": 24, "of another model": 12, "both": 12, "of the day": 24}
    assert sorted(await told(gateway)) == [
        ("all", 50), ("all", 100), ("both", 50), ("of another model", 50), ("of the day", 50), ("of the day", 100),
        ("of the key", 50), ("of the key", 100),
    ]  # fmt: skip
    assert await spent(gateway, stranger) == {}


async def test_a_call_has_to_fit_into_its_wallet_and_every_budget(gateway: House) -> None:
    await furnish(gateway)
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    await fill(gateway, ben.organization, 5_00)
    await make(gateway, ben, replace(LIMITED, measure=BudgetMeasure.TOKENS, limit=Decimal(600)))

    statuses = [(await ben.http.post("/chat/completions", json=BODY)).status_code for _ in range(2)]

    assert statuses == [200, 429]  # 12 tokens are used, and a call may take 596
    await gateway.gateway.settler.settle_waiting()
    await gateway.gateway.purses.give_back(frozenset({f"wallet:{ben.organization.id}:USD"}))
    async with crossing(Reason.INVARIANTS, on=gateway.database) as uow:
        held = await uow.execute("select held from wallet union all select held from budget_spending")
        assert set(held.scalars()) == {0}  # what was refused by the one is held of neither


BAD: Sequence[tuple[dict[str, Any], str]] = (
    ({"limit": Decimal(0)}, "limit"),
    ({"limit": Decimal(-1)}, "limit"),
    ({"limit": Decimal(10) ** 13}, "limit"),
    ({"limit": Decimal("0.000000000000001")}, "limit"),
    ({"limit": Decimal("1.5"), "measure": BudgetMeasure.TOKENS}, "limit"),
    ({"thresholds": (0,)}, "thresholds"),
    ({"thresholds": range(1, 12)}, "thresholds"),
    ({"name": " "}, "name"),
    ({"action": BudgetAction.THROTTLE}, "requests_per_minute"),
    ({"action": BudgetAction.THROTTLE, "requests_per_minute": 0}, "requests_per_minute"),
    ({"requests_per_minute": 5}, "requests_per_minute"),
    ({"model": "nobody-knows"}, "model"),
)


async def test_bad_budgets_are_refused(gateway: House) -> None:
    ana, other = await gateway.client(), await gateway.client()
    actor = gateway.world.actor(ana.organization)
    for change, field in BAD:
        with pytest.raises(Invalid) as refused:
            async with unit_of_work(actor, on=gateway.database) as uow:
                await budgets.create_budget(uow, replace(LIMITED, **change))
        assert refused.value.field == field, change
    with pytest.raises(NotFound):
        async with unit_of_work(actor, on=gateway.database) as uow:
            await budgets.create_budget(uow, replace(LIMITED, key_id=other.key.key.id))
    with pytest.raises(Forbidden):
        async with unit_of_work(
            gateway.world.actor(ana.organization, Role.DEVELOPER), on=gateway.database
        ) as uow:
            await budgets.create_budget(uow, LIMITED)
    for _ in range(rules.STOPPING_MAX):
        await make(gateway, ana, LIMITED)
    with pytest.raises(Conflict):
        await make(gateway, ana, LIMITED)


@pytest.mark.parametrize(
    ("zone", "period", "start", "hours"),
    [
        ("Europe/Berlin", BudgetPeriod.DAY, datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        ("Asia/Kolkata", BudgetPeriod.DAY, datetime(2026, 3, 28, 18, 30, tzinfo=UTC), 24),
        ("Asia/Tokyo", BudgetPeriod.MONTH, datetime(2026, 2, 28, 15, tzinfo=UTC), 31 * 24),
    ],
)
def test_a_period_is_one_of_the_organisations_calendar(
    zone: str, period: BudgetPeriod, start: datetime, hours: int
) -> None:
    window = rules.window_of(datetime(2026, 3, 29, 10, tzinfo=UTC), period, zone)
    assert (window.starts_at, window.ends_at - window.starts_at) == (start, timedelta(hours=hours))
