"""Calls that the database refuses: kept on disk and counted, tried once by each process and not on and on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import REGISTRY

from models.identity import Organization
from models.types import BillingMode, OrganizationKind
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.gateway.calls import Call
from services.gateway.journal import Journal, Slot
from services.gateway.purses import Purses
from services.gateway.settlement import Recoverer, Settler
from tests.integration.gateway.house import House
from tests.world import LONG_AGO

NOBODY = "org_of_nobody"


def call_of(organization_id: str) -> Call:
    return Call(
        id=new_id("req"),
        organization_id=organization_id,
        key_id="",
        account_id="",
        endpoint="chat",
        started_at=datetime(2026, 7, 1, tzinfo=UTC),
        address="",
        trace_id="",
        status=200,
        prompt_tokens=7,
        completion_tokens=5,
    )


def left_by_the_dead(directory: Path, number: int, *organizations: str) -> Path:
    """A segment with a closed call of each organisation, whose process is gone."""
    slot = Slot.take(directory, number)
    assert slot is not None
    journal = Journal.start(slot)
    for organization_id in organizations:
        journal.open(call_of(organization_id)).close()
    path = journal.current.path
    journal.stop()
    return path


class NewProcess:
    """The settling part of a gateway that has just started."""

    def __init__(self, house: House) -> None:
        directory = house.data_dir / "journal"
        directory.mkdir(exist_ok=True)
        self.slot = Slot.take_first_free(directory)
        self.journal = Journal.start(self.slot)
        self.settler = Settler(house.database, self.journal)
        self.recoverer = Recoverer(
            self.settler,
            self.slot,
            Purses(house.database, f"{self.slot.process}/1", self.settler.settle_waiting),
        )

    async def recovers(self) -> int:
        """Looks after the dead once. Returns how many transactions that took."""
        before = _settlements()
        await self.recoverer.recover([])
        return int(_settlements() - before)

    def stop(self) -> None:
        self.journal.stop()


def _settlements() -> float:
    return REGISTRY.get_sample_value("matrix_crossings_total", {"reason": "gateway_settlement"}) or 0.0


async def test_a_refused_call_is_counted_and_not_tried_for_ever(house: House) -> None:
    ana = await house.world.organization()
    process = NewProcess(house)
    path = left_by_the_dead(process.slot.directory, 7, ana.id, NOBODY, ana.id)

    assert await process.recovers() > 0
    assert await process.recovers() == 0

    assert path.exists()
    assert (process.settler.parked, process.settler.unsettled) == (1, 0)
    assert len(await house.rows(ana)) == 2
    process.stop()


async def test_the_next_process_tries_again_and_books_what_is_possible_by_then(house: House) -> None:
    process = NewProcess(house)
    path = left_by_the_dead(process.slot.directory, 7, NOBODY)
    await process.recovers()
    process.stop()
    async with crossing(Reason.DEMO, on=house.database) as uow:
        uow.add(
            Organization(
                id=NOBODY,
                kind=OrganizationKind.CLIENT,
                name="Somebody after all",
                name_key="somebody after all",
                timezone="UTC",
                currency="USD",
                billing_mode=BillingMode.POSTPAID,
                created_at=LONG_AGO,
            )
        )

    successor = NewProcess(house)
    assert await successor.recovers() == 1

    assert not path.exists()
    assert successor.settler.parked == 0
    assert [row["organization_id"] for row in await house.rows()] == [NOBODY]
    successor.stop()


async def test_another_segment_of_the_same_name_is_not_taken_for_the_refused_one(house: House) -> None:
    """Whoever takes the slot next may settle and delete what lay there, and begins with the same name."""
    ana = await house.world.organization()
    process = NewProcess(house)
    path = left_by_the_dead(process.slot.directory, 7, NOBODY)
    await process.recovers()
    path.unlink()
    assert left_by_the_dead(process.slot.directory, 7, ana.id) == path

    await process.recovers()

    assert not path.exists()
    assert len(await house.rows(ana)) == 1
    process.stop()


async def test_calls_parked_by_a_living_process_are_counted_once(gateway: House) -> None:
    for _ in range(2):
        entry = gateway.gateway.journal.open(call_of(NOBODY))
        gateway.gateway._close(entry)  # pyright: ignore[reportPrivateUsage]
    await gateway.gateway.settler.settle_waiting()
    entry.segment.spilled = True  # as if memory had had no room: the segment is read from disk again
    await gateway.gateway.settler.settle_waiting()

    assert gateway.gateway.settler.parked == 2
    assert REGISTRY.get_sample_value("matrix_gateway_parked_calls") == 2
