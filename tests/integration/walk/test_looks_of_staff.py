"""Whoever of staff opens a row of a customer's stands in that customer's log: once, however often the page is read.

A new read is tried as soon as it is there. One that is not noted stands below, with the reason.
"""

from __future__ import annotations

from services.core.crossing import Reason, crossing
from tests.integration.walk.callers import Cast
from tests.integration.walk.operations import Operation
from tests.integration.walk.parameters import THEIRS
from tests.integration.walk.victim import Victim
from tests.integration.walk.walking import Walk
from tests.world import World

BOOKS = "amounts between accounts, and nothing about people"
NOT_NOTED = {
    "/staff/ledger/accounts/{ledger_account_id}/statement": BOOKS,
    "/staff/ledger/journals/{journal_id}": BOOKS,
    "/staff/organizations/{organization_id}/clock": "what day it is for a test",
    "/staff/dunning-campaigns/{dunning_campaign_id}": "what is done about whoever is late",
    "/staff/dunning/{dunning_case_id}": "which invoice is overdue and what was done; its buyer is on the invoice",
}


def about_a_customer(operation: Operation) -> bool:
    named = {name for where, name, _ in operation.inputs if where == "path"}
    return operation.method == "GET" and "/staff/" in operation.path and bool(named & THEIRS.keys())


async def test_staff_that_reads_a_row_of_a_customers_stands_in_its_log_once(
    walk: Walk, world: World, victim: Victim
) -> None:
    wrong, seen = list[str](), set[str]()

    for operation in filter(about_a_customer, walk.operations):
        path = operation.path.removeprefix("/api/v1")
        caller = await Cast(world, victim).operator()  # each a look of its own
        answers = [await walk.attempt(caller, operation, victim) for _ in range(2)]
        async with crossing(Reason.INVARIANTS, on=world.database) as uow:
            found = await uow.execute(
                "select payload from event where type = 'personal_data.read' and actor_id = :actor"
                " and organization_id = :victim",
                actor=caller.id,
                victim=victim.organization.id,
            )
            noted = [str(said) for said in found.scalars()]
        if answers[0].status_code == 409:  # files that are not made yet tell nothing
            continue
        seen.add(path)
        told = answers[0].status_code == 200 and len(noted) == len(set(noted)) > 0
        right = not noted if path in NOT_NOTED else told
        if not right:
            wrong.append(f"{operation}: {answers[0].status_code}, {noted}")

    assert not wrong, "\n".join(wrong)
    assert NOT_NOTED.keys() < seen
    assert len(seen) > 18
