"""How the installation is, over HTTP."""

from __future__ import annotations

import pytest

from models.identity import Organization
from models.types import Role
from services.operations import traffic
from tests.api.conftest import Api, problem


async def test_staff_sees_findings_invariants_and_queues(
    api: Api, operators: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "ROWS_PER_DOOR_MAX", 10_000)  # other tests have been busy in this process
    staff = await api.browser(operators, Role.SUPPORT)

    seen = (await staff.get("staff/health")).json()

    assert [finding["id"] for finding in seen["findings"]][:2] == ["D001", "D002"]
    assert [finding["health"] for finding in seen["findings"]][:2] == ["ok", "ok"]
    assert {"relay", "usage roll-ups"} <= {queue["name"] for queue in seen["queues"]}
    assert {invariant["checked_at"] for invariant in seen["invariants"]} == {None}
    again = (await staff.get("staff/health")).json()["traffic"]
    (own,) = [one for one in again if one["door"] == "rest" and one["name"].endswith("/staff/health")]
    assert own["handled"] >= 1


async def test_members_do_not(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    problem(await owner.get("staff/health"), 403, "not_allowed")
