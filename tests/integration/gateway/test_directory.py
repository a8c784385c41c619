"""The models that a process knows, between one wake-up and the next."""

from __future__ import annotations

import pytest

from services.gateway import directory
from services.gateway.directory import Directory
from tests.integration.gateway.house import House


@pytest.fixture
def deaf(house: House) -> Directory:
    """A directory that nobody wakes."""
    return Directory(
        house.database,
        model_url="http://127.0.0.1:1",
        allowed_private=frozenset({f"127.0.0.1:{house.fake.port}"}),
    )


async def test_a_model_is_known_before_word_of_it_arrives(house: House, deaf: Directory) -> None:
    await deaf.load()
    await house.furnish("new")

    route = await deaf.look_up("new")

    assert route is not None
    assert route.slug == "new"


async def test_invented_names_do_not_read_the_database_each_time(
    house: House, deaf: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "LOOKS_PER_MINUTE", 3)
    await house.furnish("one")
    await deaf.load()
    for n in range(10):
        assert await deaf.look_up(f"invented-{n}") is None
    before = deaf.loaded_at

    assert await deaf.look_up("invented") is None

    assert deaf.loaded_at == before
    assert await deaf.look_up("one") is not None
