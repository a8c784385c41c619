"""A customer, two providers and a clock: what histories of money are played on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from aiohttp import web

from models.payments import ProviderAccount
from services.core import database as databases
from services.core.actor import Actor, system
from services.core.crossing import Reason, crossing
from services.core.errors import MatrixError
from services.core.permissions import ROLE_CAPABILITIES, Role
from services.core.postgres import EmbeddedPostgres
from services.core.work import UnitOfWork, unit_of_work
from services.payments import accounts, methods
from services.payments.accounts import AccountFields
from services.payments.cashier import Cashier
from services.payments.inbox import Inbox
from services.payments.intake import Intake
from services.payments.providers.base import PaymentProvider
from services.payments.providers.values import SetupOrder
from tests.conftest import TEMPLATE
from tests.fakes.anvil.running import Anvil, running_anvil
from tests.fakes.paypal.running import RunningPayPal, running_paypal
from tests.fakes.paypal.signing import NAME
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.stripe_kit import StripeKit
from tests.integration.payments.till import ADDRESS
from tests.world import World

_T = TypeVar("_T")
STRIPE, PAYPAL, CHAIN, BANK = "stripe", "paypal", "crypto", "bank"
CARDS = {
    "card": "pm_card_visa",
    "empty": "pm_card_chargeCustomerFail",
    "asks": "pm_card_authenticationRequired",
}
BEHIND = timedelta(seconds=2)  # the clock of this house, so that nothing has happened later than now


class Died(BaseException):
    """This process was ended, as by kill -9, between two of its transactions."""


class Nothing(Exception):
    """There is nothing yet to which this could happen."""


def pick(of: Sequence[_T], which: int) -> _T:
    """Raises Nothing where there is none."""
    if not of:
        raise Nothing
    return of[which % len(of)]


@dataclass
class MortalClock:
    """Stands still until it is moved. Every transaction begins with a look at it, and if it is `dying`, whoever looks
    at it for that time from now on dies."""

    at: datetime
    dying: int = 0

    def now(self) -> datetime:
        if self.dying:
            self.dying -= 1
            if not self.dying:
                raise Died
        return self.at


@dataclass
class Providers:
    """The two programs, started once for many houses."""

    stripe: RunningStripe
    paypal: RunningPayPal
    root: str  # what PayPal's events are signed under

    @property
    def kits(self) -> dict[str, StripeKit | PayPalKit]:
        return {STRIPE: StripeKit(self.stripe), PAYPAL: PayPalKit(self.paypal)}


@dataclass
class House:
    shop: Shop
    clock: MortalClock
    kits: dict[str, StripeKit | PayPalKit]
    anvil: Anvil
    accounts: dict[str, ProviderAccount] = field(default_factory=dict[str, ProviderAccount])
    methods: dict[str, str] = field(default_factory=dict[str, str])
    cashier: Cashier = field(init=False)

    def __post_init__(self) -> None:
        self.cashier = self._cashier()

    def _cashier(self) -> Cashier:
        places = [self.anvil.place, *(kit.fake.place for kit in self.kits.values())]
        return Cashier(public_url=ADDRESS, allowed=places, clock=self.clock)

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.cashier, clock=self.clock)

    def work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return unit_of_work(system(self.shop.customer.id), clock=self.clock)

    def staff_work(self, organization_id: str | None) -> AbstractAsyncContextManager[UnitOfWork]:
        actor = Actor("acc_staff", organization_id, ROLE_CAPABILITIES[Role.OPERATOR])
        return crossing(Reason.STAFF, actor=actor, clock=self.clock)

    async def rows(self, query: str, **named: Any) -> list[Any]:
        """All that is in the database, whoever's. Nobody dies of looking."""
        async with crossing(Reason.PAYMENTS) as uow:
            return list(await uow.execute(query, named))

    async def next_pull(self) -> None:
        """The providers' books are due to be read, as if a day had passed since the last time."""
        async with crossing(Reason.PAYMENTS) as uow:
            await uow.execute("update provider_pull set due_at = :now", now=self.clock.at)

    async def provider(self, who: str) -> PaymentProvider:
        return await self.cashier.provider_of(self.accounts[who])

    async def restart(self) -> None:
        """Another process goes on with what is written down."""
        self.clock.dying = 0
        await self.cashier.close()
        self.cashier = self._cashier()

    def turn(self, by: timedelta) -> None:
        """The clocks of both providers and of this house, which then show the same."""
        ends = max(kit.now() for kit in self.kits.values()) + int(by.total_seconds())
        for kit in self.kits.values():
            kit.fake.act("advance", seconds=ends - kit.now())
        latest = max(kit.now() for kit in self.kits.values())
        self.clock.at = self.shop.now = datetime.fromtimestamp(latest, UTC) + BEHIND

    async def deliver(self, *, even_later: bool = False) -> None:
        """Have both send the events that are due. Beside the loop, which takes them meanwhile."""
        for kit in self.kits.values():
            await asyncio.to_thread(partial(kit.fake.act, "deliver", even_later=even_later))

    async def take(self, request: web.Request) -> web.Response:
        """An event of a provider. Signatures are of the time on the wall, whatever the clocks show."""
        intake, raw = Intake(self.cashier), await request.read()
        try:
            await intake.take(self.accounts[request.match_info["who"]].id, request.headers, raw)
        except MatrixError as error:
            return web.Response(status=error.status)
        return web.Response()

    async def open_accounts(self, url: str, root: str) -> None:
        """One with each provider, which tells of everything, and a method kept at each."""
        secret = self.kits[STRIPE].listen(f"{url}/{STRIPE}", "*")
        listener = self.kits[PAYPAL].listen(f"{url}/{PAYPAL}", "*")
        client, _, paypal_secret = self.kits[PAYPAL].fake.key.partition(":")
        said = {
            STRIPE: AccountFields(
                STRIPE, "Cards", is_test=True, settings={"base": self.kits[STRIPE].fake.url},
                secrets={"secret_key": self.kits[STRIPE].fake.key, "webhook_secret": secret},
            ),
            PAYPAL: AccountFields(
                PAYPAL, "PayPal", is_test=True,
                settings={
                    "client": client, "webhook_id": listener, "base": self.kits[PAYPAL].fake.url,
                    "certificate_name": NAME, "trusted": root,
                },
                secrets={"secret": paypal_secret},
            ),
        }  # fmt: skip
        for who, fields in said.items():
            async with crossing(Reason.PAYMENTS, actor=system(), clock=self.clock) as uow:
                self.accounts[who] = await accounts.add_account(
                    uow, fields, allowed=[self.kits[who].fake.place]
                )
            customer = await self.cashier.customer_at(self.accounts[who], self.shop.customer.id)
            for name in CARDS if who == STRIPE else ("wallet",):
                await self._keep(who, name, customer)

    async def _keep(self, who: str, name: str, customer: str) -> None:
        provider = await self.provider(who)
        kit = self.kits[who]
        if isinstance(kit, PayPalKit):
            token = await kit.keep(provider, customer)
            (said,) = [one for one in await provider.methods(customer) if one.reference == token]
        else:
            setup = await provider.setup(SetupOrder(f"{name}.setup", customer, CARDS[name]))
            assert setup.method is not None
            said = setup.method
        async with self.work() as uow:
            self.methods[name] = (await methods.keep(uow, self.accounts[who].id, said)).id


@contextmanager
def started(folder: Path) -> Iterator[Providers]:
    (folder / STRIPE).mkdir()
    (folder / PAYPAL).mkdir()
    with running_stripe(folder / STRIPE) as stripe, running_paypal(folder / PAYPAL) as paypal:
        root = httpx.get(f"{paypal.url}/_control/root", trust_env=False, verify=False, timeout=60).text
        yield Providers(stripe, paypal, root)


@asynccontextmanager
async def opened(postgres: EmbeddedPostgres, providers: Providers, name: str) -> AsyncIterator[House]:
    """A database and a chain of its own, and providers to whom nothing has ever happened."""
    postgres.ensure_database(name, template=TEMPLATE)
    on = databases.connect(postgres.app_url(name), pool_size=10)
    databases.install(on)
    runner = web.AppRunner(app := web.Application())
    node = ExitStack()
    try:
        kits = providers.kits
        for kit in kits.values():
            kit.fake.act("forget")
            kit.fake.act("pause")
        anvil = node.enter_context(running_anvil())
        house = House(await open_shop(World(on)), MortalClock(datetime.now(UTC)), kits, anvil)
        app.router.add_post("/{who}", house.take)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        house.turn(timedelta(0))
        await house.open_accounts(f"http://127.0.0.1:{runner.addresses[0][1]}", providers.root)
        try:
            yield house
        finally:
            await house.cashier.close()
    finally:
        node.close()
        await runner.cleanup()
        databases.install(None)
        await on.close()
        postgres.drop_database(name)
