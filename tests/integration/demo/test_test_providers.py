"""Test providers beside the demo: accounts that are made once, whose events come here and are believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from matrix_app.up import test_providers as beside
from models.payments import ProviderAccount
from models.types import OrganizationKind, Role
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.settings import Settings
from services.demo import test_chain, test_providers
from services.demo.test_provider_names import KEYS, NAMES
from services.payments import connections
from services.payments.cashier import Cashier
from tests.fakes.anvil.running import RunningChain, running_chain
from tests.fakes.paypal.running import running_paypal
from tests.fakes.stripe.running import running_stripe
from tests.integration.payments.stripe_kit import sdk
from tests.world import World


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with (
        running_stripe(tmp_path_factory.mktemp("stripe"), key=KEYS["stripe"]) as stripe,
        running_paypal(tmp_path_factory.mktemp("paypal"), key=KEYS["paypal"]) as paypal,
        running_chain(tmp_path_factory.mktemp("chain")) as chain,
    ):
        yield {"stripe": stripe, "paypal": paypal, "crypto": chain}


async def kept() -> dict[str, ProviderAccount]:
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute("select * from provider_account order by provider")
        return {row["provider"]: ProviderAccount(**row) for row in found.mappings()}


async def rates() -> dict[tuple[str, str], int]:
    """How often it was said what a coin costs."""
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute("select asset, currency, count(*) as said from crypto_rate group by 1, 2")
        return {(row.asset, row.currency): row.said for row in found}


async def test_they_are_connected_once_and_again_when_this_installation_moves(
    database: Database, fakes: dict[str, Any], tmp_path: Path
) -> None:
    where = {name: fake.url for name, fake in fakes.items()}
    here = Settings(data_dir=tmp_path, port=3999)

    await test_providers.connect(database, here, where)
    first = await kept()
    await test_providers.connect(database, here, where)

    assert {name: row.name for name, row in first.items()} == NAMES
    assert all(row.is_test and row.settings["base"] == where[name] for name, row in first.items())
    assert await kept() == first
    said = await rates()
    assert said["ETH", "EUR"] == said["USDX", "USD"] == 1  # once, though they were connected twice
    till = Cashier(public_url="http://localhost", allowed=beside.places(where))
    for row in first.values():
        assert (await connections.check(till, row)).is_well
    await till.close()
    listening = sdk(fakes["stripe"]).v1.webhook_endpoints.list()
    here_events = f"http://127.0.0.1:3999/api/v1/provider-accounts/{first['stripe'].id}/events"
    assert [one.url for one in listening.data] == [here_events]
    await test_providers.connect(database, Settings(data_dir=tmp_path, port=4000), where)
    again = await kept()
    assert {name: row.id for name, row in again.items()} == {name: row.id for name, row in first.items()}
    assert again["paypal"].settings["webhook_id"] != first["paypal"].settings["webhook_id"]


async def test_a_chain_that_moved_is_connected_again_where_staff_is_there_and_proves_nothing(
    database: Database, world: World, fakes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a copy restored from a backup, whose chain has another port."""
    operator = world.actor(await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)

    async def staff(_: Database) -> Actor:
        return operator

    monkeypatch.setattr(test_chain, "_staff", staff)
    here = Settings(data_dir=tmp_path, port=3999)
    where = fakes["crypto"].url
    await test_providers.connect(database, here, {"crypto": where})

    moved = where.replace("127.0.0.1", "localhost")
    await test_providers.connect(database, here, {"crypto": moved})

    assert where != moved == (await kept())["crypto"].settings["base"]


def test_they_stay_where_they_are_and_are_never_there_in_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = Settings(data_dir=tmp_path)
    where = beside.addresses(demo)

    assert set(where) == {"stripe", "paypal", "crypto"}
    assert beside.addresses(demo) == where
    assert len(list(beside.children(demo, where))) == 3
    monkeypatch.setattr(beside, "INSTALL_CHAIN_TIMEOUT_S", 0)
    assert "not installed" in beside.cannot_have_chain()  # which is said, and the rest goes on
    serious = Settings(
        mode="production",
        data_dir=tmp_path,
        public_url="https://matrix.example",
        smtp_url=SecretStr("smtp://localhost"),
    )
    assert beside.addresses(serious) == {}
    monkeypatch.setattr(beside, "ROOT", tmp_path)  # as where it is installed without its tests
    assert beside.addresses(demo) == {}


def test_the_wallet_sends_parts_and_what_was_taken_back_goes_again_also_after_an_accident(
    fakes: dict[str, Any],
) -> None:
    chain: RunningChain = fakes["crypto"]
    to = "0x8C8d35429F74ec245F8Ef2f4Fd1e551cFF97d650"
    begun = chain.state()["height"]

    for asset, share in (("ETH", "all"), ("USDX", "part"), ("ETH", "over")):
        chain.act("send", to=to, amount="0.05", asset=asset, share=share)
    chain.act("mine", blocks=2)

    def sent() -> list[tuple[str, str, int]]:
        return [(one["asset"], one["amount"], one["depth"]) for one in chain.state()["sent"]]

    assert sent() == [("ETH", "0.055", 3), ("USDX", "0.025", 4), ("ETH", "0.05", 5)]
    assert chain.state()["height"] == begun + 5
    chain.act("take_back", blocks=3)
    assert sent() == [("ETH", "0.055", 0), ("USDX", "0.025", 4), ("ETH", "0.05", 5)]
    chain.act("send_again", hash=chain.state()["sent"][0]["hash"])
    assert sent()[0] == ("ETH", "0.055", 1)
    chain.stop()
    chain.start()
    assert sent() == [("ETH", "0.055", 1), ("USDX", "0.025", 5), ("ETH", "0.05", 6)]
    for name, wrong in (
        ("send", {"to": to, "amount": "NaN"}), ("send", {"to": "0x", "amount": "1"}), ("mine", {"blocks": "0"}),
        ("take_back", {"blocks": "64"}), ("take_back", {"blocks": "3"}), ("send_again", {"hash": "0x"}),
    ):  # fmt: skip
        with pytest.raises(AssertionError, match="error"):
            chain.act(name, **wrong)
    assert chain.state()["height"] == begun + 6
