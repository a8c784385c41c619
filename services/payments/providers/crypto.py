"""Being paid on a chain. Nobody is asked here: a payment gets an address of its own, and the chain is watched
(services/crypto/watching.py). So this fills in the interface with what is so, and refuses the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.currencies import CURRENCIES
from models.money import Provider
from services.core.errors import Invalid
from services.core.outgoing import checked_url
from services.crypto import holdings, moved
from services.crypto.amounts import Asset
from services.payments.providers import crypto_keys
from services.payments.providers.base import Opening, ProviderUnavailable
from services.payments.providers.capabilities import Capabilities, Flow, GivesBack
from services.payments.providers.crypto_chain import Chain
from services.payments.providers.unasked import UnaskedProvider
from services.payments.providers.values import Movement, Page

ASSETS_MAX = 10
SYMBOL_CHARACTERS_MAX = 12
DECIMALS_MAX = 36
CONFIRMATIONS, CONFIRMATIONS_MAX = 12, 1_000
LOCKED_MINUTES, LOCKED_MINUTES_MAX = 15, 1_440
CHAIN_ID_MAX = 2**53 - 1  # what wallets can read
NATIVE_DECIMALS = 18
_LISTING = "listing:"  # begins a cursor once all addresses were asked what they hold
CAPABILITIES = Capabilities(
    provider=Provider.CRYPTO,
    flows=frozenset({Flow.TRANSFER}),
    currencies=frozenset(CURRENCIES),  # those for which staff has said a rate
    minimums={},
    keys_last=timedelta(0),
    keeps_methods=False,
    captures_later=False,
    lists_payouts=False,
    gives_back=GivesBack.NEVER,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an account says of how it is paid. `ignored_over_minor` is what of too much is not credited."""

    chain_id: int
    key: str
    assets: tuple[Asset, ...]
    confirmations: int
    locked: timedelta
    ignored_over_minor: int

    def asset(self, symbol: str) -> Asset:
        """Raises Invalid for one that is not taken."""
        for one in self.assets:
            if one.symbol == symbol:
                return one
        taken = ", ".join(one.symbol for one in self.assets)
        raise Invalid(f"{symbol or 'Nothing'} is not taken here: {taken}.", field="provider_account_id")


def terms(settings: Mapping[str, str]) -> Terms:
    """Raises Invalid naming the setting."""
    return Terms(
        chain_id=_number(settings, "chain_id", 1, CHAIN_ID_MAX),
        key=settings["key"],
        assets=_assets(settings["assets"]),
        confirmations=_number(settings, "confirmations", 1, CONFIRMATIONS_MAX, CONFIRMATIONS),
        locked=timedelta(minutes=_number(settings, "locked_minutes", 1, LOCKED_MINUTES_MAX, LOCKED_MINUTES)),
        ignored_over_minor=_number(settings, "ignored_over_minor", 0, 10_000, 0),
    )


def check(settings: Mapping[str, str], secrets: Mapping[str, str], allowed: Collection[str]) -> None:
    """Raises PrivateKeyGiven, AddressRefused, and Invalid naming the setting."""
    terms(settings)
    crypto_keys.read_key(settings["key"])
    checked_url(secrets["node"], allowed=allowed)


def _number(
    settings: Mapping[str, str], name: str, least: int, most: int, otherwise: int | None = None
) -> int:
    text = settings.get(name, str(otherwise))
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
        raise Invalid(f"{name} is a whole number from {least:,} to {most:,}.", field=f"settings.{name}")
    return int(text)


def _assets(text: str) -> tuple[Asset, ...]:
    """From "ETH, USDC=0x...:6": the chain's own coin by its symbol alone, a token with contract and decimals."""
    read = tuple(_asset(part.strip()) for part in text.split(","))
    if len(read) > ASSETS_MAX:
        raise Invalid(f"An account takes {ASSETS_MAX} assets at most.", field="settings.assets")
    if len({one.symbol for one in read}) < len(read) or len({one.contract for one in read}) < len(read):
        raise Invalid("An asset is named twice.", field="settings.assets")
    return read


def _asset(text: str) -> Asset:
    symbol, is_token, rest = text.partition("=")
    if not (symbol.isascii() and symbol.isalnum() and len(symbol) <= SYMBOL_CHARACTERS_MAX):
        raise Invalid(
            f"A symbol has 1 to {SYMBOL_CHARACTERS_MAX} letters and digits.", field="settings.assets"
        )
    if not is_token:
        return Asset(symbol, NATIVE_DECIMALS)
    contract, _, decimals = rest.partition(":")
    if not (
        decimals.isascii() and decimals.isdigit() and len(decimals) < 3 and int(decimals) <= DECIMALS_MAX
    ):
        raise Invalid(
            f"{symbol} needs its decimals: {symbol}=<contract>:<0 to {DECIMALS_MAX}>.",
            field="settings.assets",
        )
    return Asset(symbol, int(decimals), crypto_keys.checksummed(contract))


class CryptoProvider(UnaskedProvider):
    """An account on a chain. `chain` reads it."""

    NAME = "A chain"
    TOLD = "is watched"
    GIVES_NOTHING_BACK = "gives nothing back: this installation holds no key that could"

    def __init__(self, given: Opening) -> None:
        self.terms = terms(given.settings)
        self.chain = Chain(checked_url(given.secrets["node"], allowed=given.allowed), given.allowed)
        self._account_id, self._work = given.account_id, given.work

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def close(self) -> None:
        await self.chain.close()

    async def require_chain(self) -> None:
        """Raises ProviderUnavailable where the node does not answer, or follows another chain."""
        if await self.chain.chain_id() != self.terms.chain_id:
            raise ProviderUnavailable(f"The node follows another chain than {self.terms.chain_id}.")

    async def movements(self, *, since: datetime, until: datetime, cursor: str = "") -> Page[Movement]:
        """What moved at all addresses of the account. Before that, each address is asked what it holds, a part of them
        for each page. Raises as `require_chain`."""
        if not cursor.startswith(_LISTING):
            await self.require_chain()
            after = await holdings.compare(
                self._work,
                self.chain,
                self._account_id,
                confirmations=self.terms.confirmations,
                since=since,
                after=cursor,
            )
            if after:
                return Page((), after)
        async with self._work() as uow:
            page = await moved.listed(
                uow, self._account_id, since=since, until=until, cursor=cursor.removeprefix(_LISTING)
            )
        return Page(page.items, page.cursor and _LISTING + page.cursor)
