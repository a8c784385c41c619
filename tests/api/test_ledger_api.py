"""The ledger over HTTP: looked at by those who handle money, and posted to by nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.identity import Organization
from models.ledger import JournalKind, Purpose
from models.money import Money
from models.types import Role
from services.core.actor import system
from services.core.work import unit_of_work
from services.ledger import service
from services.ledger.rules import Draft, credit, debit
from tests.api.conftest import Api, problem

DAY = timedelta(days=1)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def journals(acme: Organization) -> list[str]:
    """Three invoices of 100 yen on three days, the last of them reversed."""
    made: list[str] = []
    async with unit_of_work(system(acme.id)) as uow:
        for day in range(3):
            yen = Money(100, "JPY")
            posted = await service.post(
                uow,
                Draft(
                    acme.id, f"invoice:{day}", JournalKind.INVOICE, f"inv_{day}",
                    (debit(Purpose.RECEIVABLE, yen), credit(Purpose.REVENUE, yen)),
                    at=MARCH + day * DAY,
                ),
            )  # fmt: skip
            made.append(posted.id)
        made.append((await service.reverse(uow, made[-1], at=MARCH + 3 * DAY, note="Never delivered")).id)
    return made


async def test_a_book_is_read_from_balance_to_entry(
    api: Api, acme: Organization, journals: list[str]
) -> None:
    billing = await api.browser(acme, Role.BILLING)

    async def read(path: str, **asked: Any) -> Any:
        answer = await billing.get(f"ledger/{path}", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    balance = await read("trial-balance", to=(MARCH + DAY * 2).isoformat(), currency="JPY")
    sides = {row["purpose"]: (row["debit_minor"], row["credit_minor"]) for row in balance["data"]}
    assert sides == {"receivable": (200, 0), "revenue": (0, 200)}
    later = {row["purpose"]: row for row in (await read("trial-balance"))["data"]}
    assert (later["receivable"]["debits_minor"], later["receivable"]["credits_minor"]) == (300, 100)

    accounts = {row["purpose"]: row for row in (await read("accounts"))["data"]}
    assert {name: row["balance_minor"] for name, row in accounts.items()} == {
        "receivable": 200,
        "revenue": 200,
    }
    listed = (await read("journals", **{"kind[ne]": "reversal"}))["data"]
    assert [row["id"] for row in listed] == journals[2::-1]
    assert (listed[0]["moved"], listed[0]["reversed_by"]) == ({"JPY": 100}, journals[3])
    last = await read(f"journals/{journals[3]}")
    assert (last["reverses"], last["note"]) == (journals[2], "Never delivered")
    assert [(line["purpose"], line["debit_minor"], line["credit_minor"]) for line in last["lines"]] == [
        ("receivable", 0, 100),
        ("revenue", 100, 0),
    ]

    path = f"accounts/{accounts['receivable']['id']}/statement"
    first = await read(path, limit=3)
    second = await read(path, limit=3, cursor=first["next_cursor"])
    assert [line["balance_minor"] for line in first["data"] + second["data"]] == [200, 300, 200, 100]
    assert (first["opening_minor"], first["closing_minor"], second["next_cursor"]) == (0, 200, None)
    month = await read(path, **{"from": (MARCH + DAY).isoformat(), "to": (MARCH + DAY * 2).isoformat()})
    assert (month["opening_minor"], month["closing_minor"], len(month["data"])) == (100, 200, 1)
    other = f"ledger/accounts/{accounts['revenue']['id']}/statement"
    problem(await billing.get(other, params={"cursor": first["next_cursor"]}), 422, "cursor_invalid")
    problem(await billing.get("ledger/trial-balance?currency=yen"), 422, "invalid_input")


PATHS = ("accounts", "journals", "trial-balance", "journals/{journal}", "accounts/{account}/statement")


@pytest.mark.parametrize(
    ("role", "own", "of_all"),
    [
        (Role.OWNER, 200, 403),
        (Role.BILLING, 200, 403),
        (Role.DEVELOPER, 403, 403),
        (Role.VIEWER, 403, 403),
        (Role.SUPPORT, 403, 200),
        (Role.GOVERNANCE, 403, 200),
        (Role.OPERATOR, 200, 200),
        (None, 200, 403),  # an owner elsewhere
    ],
)
async def test_who_may_read_what(
    api: Api, acme: Organization, operators: Organization, journals: list[str],
    role: Role | None, own: int, of_all: int,
) -> None:  # fmt: skip
    async with unit_of_work(system(acme.id)) as uow:
        account = (await uow.execute("select min(id) from ledger_account")).scalar_one()
    elsewhere = role in {None, Role.SUPPORT, Role.GOVERNANCE, Role.OPERATOR}
    home = operators if role and elsewhere else await api.world.organization() if elsewhere else acme
    reader = await api.browser(home, role or Role.OWNER)

    for path in PATHS:
        named = path.format(journal=journals[0], account=account)
        answer = await reader.get(f"ledger/{named}")
        if own == 200 and elsewhere and "{" in path:
            problem(answer, 404, "not_found")
        else:
            assert answer.status_code == own, path
            assert own != 200 or bool(answer.json().get("data", True)) is not elsewhere, path
        seen = await reader.get(f"staff/ledger/{named}")
        assert seen.status_code == of_all, path
        assert of_all != 200 or seen.json().get("data", True), path
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            problem(await reader.request(method, f"ledger/{named}"), 405, "method_not_allowed")


async def test_staff_chooses_a_book_and_leaves_trials_out(
    api: Api, acme: Organization, operators: Organization, journals: list[str]
) -> None:
    staff = await api.browser(operators, Role.SUPPORT)

    async def total(**asked: str) -> int:
        rows = (await staff.get("staff/ledger/trial-balance", params=asked)).json()["data"]
        return sum(row["debit_minor"] for row in rows)

    assert await total() == await total(organization=acme.id) == 200
    assert await total(organization=operators.id) == 0
    assert (await staff.get("staff/ledger/journals", params={"organization_id": acme.id})).json()["data"]
    async with api.world.database.engine.begin() as connection:
        await connection.exec_driver_sql("set local role matrix_crossing")
        await connection.exec_driver_sql(
            "insert into test_clock (id, name, now_at, follows_wall, created_at)"
            " values ('clk_1', 'Frozen', now(), false, now())"
        )
        await connection.exec_driver_sql(
            "update organization set test_clock_id = 'clk_1' where id = %s", (acme.id,)
        )
    assert (await total(), await total(organization=acme.id)) == (0, 200)
