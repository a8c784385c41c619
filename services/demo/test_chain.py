"""The account of the demo on a test chain, which runs beside it: made once, and told when the chain has moved to
another port. What its coins cost the demo's staff says, as staff does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from models.payments import ProviderAccount
from services.core.actor import Actor, system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.work import UnitOfWork
from services.crypto import rates
from services.crypto.rates import RateFields
from services.demo.history import account_of, member
from services.demo.progress import Progress
from services.demo.stories import OPERATOR
from services.payments import accounts
from services.payments.accounts import AccountFields
from services.payments.providers import crypto

CONFIRMATIONS = 3  # few enough to make by hand
SOURCE = "Made up for the demo"
PRICES = {  # of one whole coin
    "ETH": {"EUR": Decimal(2_380), "USD": Decimal(2_600), "JPY": Decimal(390_000)},
    "USDX": {"EUR": Decimal("0.92"), "USD": Decimal(1), "JPY": Decimal(150)},
}


def fields(name: str, base: str, told: Mapping[str, Any]) -> AccountFields:
    """What the chain at `base` says of an account on it."""
    settings = {said: str(told[said]) for said in ("chain_id", "key", "assets")}
    settings |= {"base": base, "confirmations": str(CONFIRMATIONS)}
    return AccountFields("crypto", name, True, settings=settings, secrets={"node": base})


async def connect(on: Database, account: ProviderAccount, said: AccountFields, *, allowed: list[str]) -> None:
    """Have the account lead to where the chain is now, with prices. What staff has said of it meanwhile, its name, its
    confirmations and whether it is open, stays."""
    async with crossing(
        Reason.DEMO, actor=system(), on=on
    ) as uow:  # nobody's act: who says a secret proves it
        kept = {"confirmations", "locked_minutes", "ignored_over_minor"} & account.settings.keys()
        settings = {**said.settings, **{name: account.settings[name] for name in kept}}
        said = replace(said, name=account.name, enabled=account.enabled, settings=settings)
        account = await accounts.change_account(uow, account.id, said, allowed=allowed)
    staff = await _staff(on)
    async with crossing(Reason.DEMO, actor=staff, on=on) as uow:
        for asset in crypto.terms(account.settings).assets:
            for code, price in PRICES.get(asset.symbol, {}).items():
                await _say(uow, account.id, asset.symbol, code, price)


async def _say(uow: UnitOfWork, account_id: str, asset: str, code: str, price: Decimal) -> None:
    """Unless somebody has said what it costs now."""
    if await rates.RATES.price(uow, account_id, asset, code, uow.wall_now) is None:
        await rates.say(uow, RateFields(account_id, asset, code, price, rates.VALID_MINUTES_MAX, SOURCE))


async def _staff(on: Database) -> Actor:
    progress = Progress(on)
    await progress.read()
    is_there = account_of(OPERATOR, 0) in progress.made
    return member(OPERATOR, 0, progress.made) if is_there else system()
