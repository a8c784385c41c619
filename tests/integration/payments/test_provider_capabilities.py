"""What a provider does not say it can do, it refuses rather than pretends to; and what comes to one that nobody can
ask is told as movements of its balance all the same. A new line of the registry is one more opening here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from models.money import Money
from services.core.crossing import Reason, crossing
from services.payments.providers import registry
from services.payments.providers.base import Opening, PaymentProvider, RefusedByProvider, WebhookRefused
from services.payments.providers.capabilities import Capabilities
from services.payments.providers.values import Customer, Evidence, MovementKind, RefundOrder, SetupOrder
from tests.fakes.anvil.running import KEY, running_anvil
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.chain_till import open_chain_till
from tests.integration.payments.provider_kits import order
from tests.world import World

NOBODY, PLACE = "http://127.0.0.1:1", frozenset({"127.0.0.1:1"})
NOW = datetime(2026, 3, 10, tzinfo=UTC)
OPENINGS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "stripe": ({"base": NOBODY}, {"secret_key": "sk_test_x", "webhook_secret": "whsec_x"}),
    "paypal": ({"client": "client", "webhook_id": "WH-1", "base": NOBODY}, {"secret": "secret"}),
    "crypto": ({"chain_id": "1", "key": KEY, "assets": "ETH"}, {"node": NOBODY}),
    "bank": ({"number": "DE02120300000000202051"}, {}),
}
Ask = Callable[[PaymentProvider], Awaitable[object]]
REFUSED: list[tuple[Callable[[Capabilities], bool], list[Ask]]] = [
    (
        lambda able: able.is_watched,
        [
            lambda one: one.create_or_confirm(order()),
            lambda one: one.cancel("x", key="k"),
            lambda one: one.read("x"),
            lambda one: one.refund(RefundOrder("k", "x", Money(1, "EUR"))),
            lambda one: one.read_refund("x"),
        ],
    ),
    (lambda able: not able.captures_later, [lambda one: one.capture("x", key="k")]),
    (
        lambda able: not able.keeps_methods,
        [
            lambda one: one.keep_customer(Customer("Ada", "", "org_1"), key="k"),
            lambda one: one.setup(SetupOrder("k", "x")),
            lambda one: one.read_setup("x"),
        ],
    ),
    (lambda able: not able.lists_payouts, [lambda one: one.read_payout("x")]),
    (
        lambda able: able.evidence is None,
        [lambda one: one.read_dispute("x"), lambda one: one.answer_dispute("x", Evidence({}), key="k")],
    ),
]


def opened(kind: str) -> PaymentProvider:
    settings, secrets = OPENINGS[kind]
    work = partial(crossing, Reason.PAYMENTS)
    return registry.kind(kind).open(Opening("pacc_1", settings, secrets, PLACE, work))


@pytest.mark.parametrize("kind", registry.KINDS)
async def test_what_is_not_declared_is_refused_and_nothing_is_made_up(kind: str) -> None:
    provider = opened(kind)
    able = provider.capabilities
    assert able == registry.kind(kind).capabilities
    assert able.provider == kind

    for holds, asks in REFUSED:
        if holds(able):
            for ask in asks:
                with pytest.raises(RefusedByProvider):
                    await ask(provider)
    if not able.keeps_methods:
        assert (await provider.methods("x"), await provider.read_method("x")) == ((), None)
        await provider.detach("x", key="k")  # one that is not kept is no error anywhere
    if not able.lists_payouts:
        assert (await provider.payouts(since=NOW)).items == ()
    if able.is_watched:
        assert await provider.read_back("k", since=NOW) is None
        assert (await provider.disputes(since=NOW)).items == ()
        with pytest.raises(WebhookRefused):
            await provider.verify_webhook({}, b"{}", now=NOW)
    await provider.close()


async def test_what_comes_to_addresses_is_told_once_as_movements_of_their_balance(world: World) -> None:
    shop = await open_shop(world)
    with running_anvil(at=shop.now) as anvil:
        async with open_chain_till(shop, anvil) as till:
            begin = till.clock.at
            asked = await till.ask(await shop.invoice(line("100")))
            anvil.send(asked.address, int(asked.expected_units))
            await till.watch(3)
            provider = await till.cashier.provider_of(till.account)

            for _ in range(2):
                until = till.clock.at + timedelta(seconds=1)
                (moved,) = (await provider.movements(since=begin, until=until)).items
                assert (moved.kind, moved.key, moved.net, moved.gross) == (
                    MovementKind.CHARGE, asked.payment_id, Money(119_00, "EUR"), Money(119_00, "EUR"),
                )  # fmt: skip
            assert (await provider.movements(since=until, until=until)).items == ()
            held = await provider.chain.held(asked.address, None, anvil.height())  # pyright: ignore[reportAttributeAccessIssue]
            assert held == asked.expected_units
