"""Keeping a method on the provider's page, through each provider and whatever is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from models.method_setups import MethodSetup
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.identity.proof import ProofNeeded
from services.payments import accounts, setups
from services.payments import cashier as cashiers
from services.payments.accounts import AccountFields
from services.payments.cashier import LEFT_AFTER, NEVER_ARRIVED_AFTER, Cashier
from state.portal.payment_methods import PaymentMethodsState
from tests.fakes.paypal.running import running_paypal
from tests.fakes.stripe.running import running_stripe
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.state.visitor import sent_to, sign_in
from tests.world import World

ADDRESS = "http://shop.example"


@dataclass
class House:
    """An account with a provider, a customer, and the cashier between them."""

    shop: Shop
    fake: Any
    page: str  # where the provider is asked for its page
    given: dict[str, str]  # what a customer says there
    account: str
    till: Cashier
    clock: FixedClock

    async def start(self, key: str = "k") -> MethodSetup:
        async with self.shop.work() as uow:
            return await setups.start(uow, self.account, key=key)

    async def send(self, row: MethodSetup) -> MethodSetup:
        return await setups.send(self.till, row.id, row.organization_id)

    async def look(self, row: MethodSetup) -> MethodSetup:
        return await setups.look(self.till, row.id, row.organization_id)

    def give(self, row: MethodSetup) -> str:
        """Give a method on the page; where it leads back to."""
        assert row.action is not None
        answer = httpx.post(row.action["url"], data=self.given, trust_env=False, verify=False, timeout=60)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"].partition("?")[0]


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with (
        running_stripe(tmp_path_factory.mktemp("stripe")) as stripe,
        running_paypal(tmp_path_factory.mktemp("paypal")) as paypal,
    ):
        yield {"stripe": stripe, "paypal": paypal}


@pytest.fixture(params=["stripe", "paypal"])
async def house(request: pytest.FixtureRequest, world: World, fakes: dict[str, Any]) -> AsyncIterator[House]:
    shop, fake = await open_shop(world), fakes[request.param]
    clock, allowed = FixedClock(shop.now), [fake.url.removeprefix("http://")]
    settings, secrets = {"base": fake.url}, {"secret_key": fake.key, "webhook_secret": "whsec_x"}
    page, given = "/v1/checkout/sessions", {"test_card": "visa"}
    if request.param == "paypal":
        client, _, secret = fake.key.partition(":")
        settings |= {"client": client, "webhook_id": "WH-1"}
        secrets, page, given = {"secret": secret}, "/v3/vault/setup-tokens", {"act": "agree"}
    async with crossing(Reason.PAYMENTS, actor=system(), clock=clock) as uow:
        said = AccountFields(request.param, "Way", is_test=True, settings=settings, secrets=secrets)
        account = await accounts.add_account(uow, said, allowed=allowed)
    till = Cashier(public_url=ADDRESS, allowed=allowed, clock=clock)
    cashiers.install(till)
    yield House(shop, fake, page, given, account.id, till, clock)
    await cashiers.close()


async def test_a_method_is_given_on_the_providers_page_and_kept_once(house: House, world: World) -> None:
    owner, _ = await sign_in(world, house.shop.customer)
    owner.at = setups.PAGE
    waiting = await house.send(await house.start())
    assert waiting.state == "waiting"
    assert (await house.look(waiting)).state == "waiting"
    assert (await house.send(await house.start())).id == waiting.id  # the same key is the same page
    seen, _ = await owner.call(PaymentMethodsState, "load")
    assert ([row["id"] for row in seen.waiting], seen.rows) == ([waiting.id], [])
    _, answer = await owner.call(PaymentMethodsState, "go_on", {"id": waiting.id})
    assert waiting.action is not None
    assert sent_to(answer) == waiting.action["url"]

    assert house.give(waiting) == f"{ADDRESS}{setups.PAGE}"
    told = await asyncio.gather(*(house.look(waiting) for _ in range(3)))

    assert {(one.state, one.method_id) for one in told} == {("kept", told[0].method_id)}
    seen, _ = await owner.call(PaymentMethodsState, "load")
    assert ([row["id"] for row in seen.rows], seen.waiting) == ([told[0].method_id], [])
    assert seen.rows[0]["is_default"]
    assert seen.takes_play_money

    by = world.actor(house.shop.customer)
    with pytest.raises(ProofNeeded):
        await house.till.forget(seen.rows[0]["id"], by=replace(by, proved_at=None))
    seen, _ = await owner.call(PaymentMethodsState, "load")
    assert len(seen.rows) == 1
    await house.till.forget(seen.rows[0]["id"], by=replace(by, proved_at=house.clock.at))
    seen, _ = await owner.call(PaymentMethodsState, "load")
    assert seen.rows == []


async def test_what_is_lost_or_left_on_the_way_is_found_or_ends(house: House) -> None:
    house.fake.act("fault", kind="close_after", path=house.page, method="POST")
    lost = await house.send(await house.start())
    assert (lost.state, lost.action) == ("sending", None)
    house.clock.at += timedelta(minutes=2)
    assert await setups.check_due(house.till) == 1
    found = await house.look(lost)
    assert found.state == "waiting"
    house.give(found)  # and never come back
    house.clock.at += timedelta(hours=1)

    assert await setups.check_due(house.till) == 1
    assert (await house.look(lost)).state == "kept"
    assert await setups.check_due(house.till) == 0
    left = await house.send(await house.start("left"))
    house.clock.at += LEFT_AFTER + timedelta(hours=1)
    await setups.check_due(house.till)
    assert (await house.look(left)).state == "canceled"
    house.fake.act("fault", kind="close_before", path=house.page, method="POST")
    never = await house.send(await house.start("never"))
    house.clock.at += NEVER_ARRIVED_AFTER + timedelta(hours=1)
    await setups.check_due(house.till)
    ended = await house.look(never)
    assert (ended.state, bool(ended.message)) == ("failed", True)
