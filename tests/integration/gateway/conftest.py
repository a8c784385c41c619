from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.core.database import Database
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.gateway.house import FakeUpstream, House, served
from tests.world import World


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeUpstream]:
    fake = FakeUpstream(tmp_path_factory.mktemp("fake") / "served.log")
    yield fake
    fake.stop()


@pytest.fixture
async def house(database: Database, world: World, fake: FakeUpstream, tmp_path: Path) -> AsyncIterator[House]:
    house = House(database, world, fake, tmp_path)
    yield house
    await house.close()


@pytest.fixture
async def gateway(house: House) -> AsyncIterator[House]:
    """A house whose gateway answers on `base_url`."""
    async with served(house):
        yield house


@pytest.fixture(autouse=True)
async def sound(database: Database) -> AsyncIterator[None]:
    """Whatever a test of the gateway did, the books are right in the end."""
    yield
    await assert_invariants(database, but=MADE_BY_HAND)
