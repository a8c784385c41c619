"""What a payment asks for on a chain: an address of its own, and an amount at a rate that stands for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import segno

from models.crypto import CryptoRequest, TransferState
from models.money import Money
from models.payments import Payment, ProviderAccount
from services.core.errors import not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.crypto import amounts as crypto_amounts
from services.crypto.rates import RATES, NoRate
from services.payments import policies
from services.payments.providers import crypto, crypto_keys

# Money that comes later than that is not seen by itself any more.
WATCHED_FOR = timedelta(days=30)
TRANSFERS_SHOWN_MAX = 50
# The row is locked until the end of the work: an index that is given up is given to the next, and none is left out.
_NEXT_INDEX = """
insert into crypto_key (key, next_index) values (:key, 1)
on conflict (key) do update set next_index = crypto_key.next_index + 1 returning next_index - 1
"""
_CAME = """
select t.tx_hash, t.log_index, t.block_number, t.units, t.state, t.block_at,
  case when t.state = 'orphaned' then 0
    else least(greatest(w.height - t.block_number + 1, 0), :needed) end as confirmations
from crypto_transfer t left join crypto_watch w on w.provider_account_id = t.provider_account_id
where t.payment_id = :payment_id order by t.created_at desc, t.id desc limit :most
"""


_DEPTHS = """
select coalesce(sum(w.height - t.block_number + 1), 0) from payment p
  join crypto_transfer t on t.payment_id = p.id and t.state = 'seen'
  join crypto_watch w on w.provider_account_id = t.provider_account_id
where p.organization_id = :organization_id and p.state = 'processing'
"""


async def ask(uow: UnitOfWork, payment: Payment, account: ProviderAccount, symbol: str) -> CryptoRequest:
    """For a payment that was just written. Raises Invalid for an asset that is not taken, and NoRate."""
    terms = crypto.terms(account.settings)
    asset = terms.asset(symbol)
    price = await RATES.price(uow, account.id, asset.symbol, payment.currency, uow.wall_now)
    if price is None:
        raise NoRate(
            f"Nobody said what {asset.symbol} costs in {payment.currency} now.",
            next_step="Pay another way, or try again later.",
        )
    index = int((await uow.execute(_NEXT_INDEX, key=terms.key)).scalar_one())
    expires_at = uow.wall_now + terms.locked
    row = CryptoRequest(
        payment_id=payment.id,
        organization_id=payment.organization_id,
        provider_account_id=account.id,
        chain_id=terms.chain_id,
        key=terms.key,
        derivation_index=index,
        address=crypto_keys.address_of(terms.key, index),
        asset=asset.symbol,
        contract=asset.contract,
        decimals=asset.decimals,
        expected_units=Decimal(
            crypto_amounts.asked(Money(payment.minor, payment.currency), price, asset.decimals)
        ),
        price=price,
        confirmations=terms.confirmations,
        expires_at=expires_at,
        watched_until=expires_at + WATCHED_FOR,
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    return row


async def asks_for(uow: UnitOfWork, payment_id: str, symbol: str) -> bool:
    """Whether a payment is one in that asset; with no asset, whether it is on no chain."""
    found = await uow.execute("select asset from crypto_request where payment_id = :id", id=payment_id)
    return (found.scalar_one_or_none() or "") == symbol


@dataclass(frozen=True, slots=True)
class Came:
    """Something that came. `amount` is in whole coins."""

    tx_hash: str
    state: str
    amount: str
    confirmations: int
    block_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be paid where, what came so far, and what is missing. `uri` is what a QR code says of that (EIP-681),
    of all when nothing is missing; `test_wallet` is where a test chain's play money is sent from, with the form
    filled in."""

    payment_id: str
    chain_id: int
    asset: str
    contract: str | None
    address: str
    amount: str
    units: str
    price: str
    currency: str
    expires_at: datetime
    confirmations_needed: int
    received: str
    missing: str
    uri: str
    test_wallet: str | None
    came: list[Came]


async def asked(uow: UnitOfWork, payment_id: str) -> Asked:
    """Of one's own payment. Raises Forbidden, and NotFound also for one that is on no chain."""
    found = await asked_for(uow, payment_id)
    if found is None:
        raise not_found("payment on a chain", payment_id)
    return found


async def asked_for(uow: UnitOfWork, payment_id: str) -> Asked | None:
    """The same; None for a payment that is on no chain."""
    payment = await policies.payment_for(uow, payment_id, Capability.PAYMENTS_READ)
    row = await policies.crypto_request_of(uow, payment)
    if row is None:
        return None
    found = list(
        await uow.execute(_CAME, payment_id=payment.id, needed=row.confirmations, most=TRANSFERS_SHOWN_MAX)
    )
    units = int(row.expected_units)
    received = sum(int(one.units) for one in found if one.state != TransferState.ORPHANED)
    missing = max(units - received, 0)
    return Asked(
        payment_id=payment.id,
        chain_id=row.chain_id,
        asset=row.asset,
        contract=row.contract,
        address=row.address,
        amount=crypto_amounts.coins(units, row.decimals),
        units=str(units),
        price=f"{row.price.normalize():f}",
        currency=payment.currency,
        expires_at=row.expires_at,
        confirmations_needed=row.confirmations,
        received=crypto_amounts.coins(received, row.decimals),
        missing=crypto_amounts.coins(missing, row.decimals),
        uri=_uri(row, missing or units),
        test_wallet=await _test_wallet(uow, row, missing or units),
        came=[
            Came(
                one.tx_hash,
                one.state,
                crypto_amounts.coins(int(one.units), row.decimals),
                one.confirmations,
                one.block_at,
            )
            for one in found
        ],
    )


async def deepened(uow: UnitOfWork) -> dict[str, int]:
    """A figure that moves when what was seen is deeper: what pages of payments that wait follow. Raises Forbidden."""
    uow.actor.require(Capability.PAYMENTS_READ)
    found = await uow.execute(_DEPTHS, organization_id=uow.organization_id)
    return {"depths": int(found.scalar_one())}


def picture(uri: str) -> str:
    """The QR code of it on white, as a `data:` URL, which cameras read in any theme."""
    return segno.make(uri, error="m", micro=False).svg_data_uri(scale=4, light="white", omitsize=True)


def _uri(row: CryptoRequest, units: int) -> str:
    if row.contract is None:
        return f"ethereum:{row.address}@{row.chain_id}?value={units}"
    return f"ethereum:{row.contract}@{row.chain_id}/transfer?address={row.address}&uint256={units}"


async def _test_wallet(uow: UnitOfWork, row: CryptoRequest, units: int) -> str | None:
    account = await policies.any_account(uow, row.provider_account_id)
    base = account.settings.get("base")
    if base is None or not account.is_test:
        return None
    asked = {"to": row.address, "amount": crypto_amounts.coins(units, row.decimals), "asset": row.asset}
    return f"{base}/_control?{urlencode(asked)}"
