"""What a chain itself says of the money that came to our addresses, read from its blocks, not by the product."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from models.crypto import CryptoRequest
from models.money import currency as currency_of
from services.payments.providers.crypto_chain import NATIVE, TRANSFER
from tests.integration.payments.money_chain import Chain
from tests.integration.payments.money_history import History

LEFT_OVER = """
select 'transfer' as what, t.id, t.state from crypto_transfer t
  where t.state in ('seen', 'confirmed') and t.booked_by is null
union all
select 'gone', t.id, t.booked_by from crypto_transfer t
  where t.state = 'orphaned' and t.booked_by is not null and not exists (
    select from payment_case c where c.kind = 'chain' and c.cause = 'taken_and_spent' and c.subject = t.booked_by)
union all
select 'watch', provider_account_id, problem from crypto_watch where problem is not null
"""
# Payments that have brought money and still count, and what of a chain they count for.
BOOKED = """
select p.id, p.key, p.minor, p.currency, p.refunded_minor, p.asked_at, r.payment_id as asked_id,
  exists (select from crypto_movement m where m.booked_id = p.id and m.kind = 'gone') as was_away,
  (select sum(m.minor) from crypto_movement m where m.booked_id = p.id) = 0 as gone
from payment p left join crypto_request r on r.payment_id = p.id
where p.provider = 'crypto' and p.state = 'succeeded'
"""


@dataclass(frozen=True, slots=True)
class Came:
    to: str
    contract: str | None
    units: int
    block_hash: str
    block_at: datetime


async def watch_all(history: History) -> None:
    while await history.chain.watcher.watch_all():
        pass


async def agrees(history: History) -> Counter[str]:
    """Once all has come to rest. Gives what is at our addresses, as money: its minor units, by currency."""
    left = await history.house.rows(LEFT_OVER)
    assert not left, "\n".join(str(tuple(row)) for row in left)
    requests = {one.address.lower(): one for one in await history.chain.requests()}
    for asked in requests.values():
        await _was_asked_at_its_rate(history, asked)
    there = _on_chain(history.chain, requests)
    ours = {
        (row.tx_hash, row.log_index): row
        for row in await history.house.rows("select * from crypto_transfer where state <> 'orphaned'")
    }
    unseen = {name: one for name, one in there.items() if name not in ours}
    await _are_too_late(history, requests, unseen)
    for name, row in ours.items():
        came = there[name]
        asked = requests[came.to]
        assert (row.payment_id, int(row.units), row.block_hash) == (
            asked.payment_id, came.units, came.block_hash,
        ), (tuple(row), came)  # fmt: skip
    holds = await _booked(
        history, requests, [(one, there[name]) for name, one in ours.items() if one.state == "confirmed"]
    )
    for one in unseen.values():
        asked = requests[one.to]
        code = (await _payment(history, asked.payment_id)).currency
        holds[code] += _worth(asked, one.units, code, asked.price)
    for address, asked in requests.items():
        assert _balance(history.chain, asked) == sum(
            one.units for one in there.values() if one.to == address
        ), address
    return holds


async def _was_asked_at_its_rate(history: History, asked: CryptoRequest) -> None:
    """At the one that stood, for no less than is owed."""
    payment = await _payment(history, asked.payment_id)
    assert asked.price == history.chain.price(asked.asset, payment.currency, asked.created_at)
    assert _worth(asked, int(asked.expected_units), payment.currency, asked.price) >= payment.minor


def _prices(history: History, asked: CryptoRequest, payment: Any, came: Came) -> set[Decimal | None]:
    """For what was booked by itself: as was promised if it came in time, else as it stood then, or when it was booked.
    What was gone and came back in another block may have kept what it was worth before."""
    if payment.was_away:
        return {asked.price, *(price for _, price in history.chain.said[asked.asset, payment.currency])}
    if came.block_at <= asked.expires_at:
        return {asked.price}
    then = history.chain.price(asked.asset, payment.currency, came.block_at)
    return {then or history.chain.price(asked.asset, payment.currency, payment.asked_at)}


async def _booked(
    history: History, requests: dict[str, CryptoRequest], rows: list[tuple[Any, Came]]
) -> Counter[str]:
    """Each transfer counts once, for what it is worth; and no payment counts for what is not there."""
    units, of, last = Counter[str](), dict[str, CryptoRequest](), dict[str, Came]()
    by_payment = {one.payment_id: one for one in requests.values()}
    for row, one in rows:
        units[row.booked_by] += int(row.units)
        of[row.booked_by], last[row.booked_by] = by_payment[row.payment_id], one
    payments = {row.id: row for row in await history.house.rows(BOOKED)}
    assert set(units) <= set(payments), set(units) - set(payments)
    over = {row.key.removeprefix("over."): row for row in payments.values() if row.key.startswith("over.")}
    holds = defaultdict[str, int](int)
    for booked_by, came in units.items():
        payment, asked = payments[booked_by], of[booked_by]
        assert not payment.gone, f"{tuple(payment)} counts, and is written down as gone"
        if payment.asked_id is None:
            prices = _prices(history, asked, payment, last[booked_by])
            worth = {_worth(asked, came, payment.currency, price) for price in prices if price}
            assert payment.minor in worth, (tuple(payment), came, worth)
            holds[payment.currency] += payment.minor
            continue
        too_much = _worth(asked, came - int(asked.expected_units), payment.currency, asked.price)
        assert came >= asked.expected_units, (tuple(payment), came)
        booked_over = over[booked_by].minor if booked_by in over else 0
        assert booked_over == too_much, (tuple(payment), booked_over, too_much)
        holds[payment.currency] += payment.minor + booked_over
    for row in payments.values():
        counts = row.key.removeprefix("over.") in units or row.id in units
        assert counts or row.gone, f"{tuple(row)} counts for nothing that is there"
    return Counter(holds)


async def _are_too_late(
    history: History, requests: dict[str, CryptoRequest], unseen: dict[tuple[str, int], Came]
) -> None:
    for (tx_hash, _), one in unseen.items():
        until = requests[one.to].watched_until
        assert one.block_at >= until.replace(microsecond=0), (
            f"{tx_hash} came to an address that was watched, and was not seen"
        )


async def _payment(history: History, payment_id: str) -> Any:
    (row,) = await history.house.rows("select * from payment where id = :id", id=payment_id)
    return row


def _worth(asked: CryptoRequest, units: int, code: str, price: Decimal) -> int:
    """In minor units, rounded down."""
    return Fraction(units) * Fraction(price) * 10 ** currency_of(code).exponent // 10**asked.decimals


def _on_chain(chain: Chain, requests: dict[str, CryptoRequest]) -> dict[tuple[str, int], Came]:
    """All that the chain has of what came to our addresses, by the names that it is known by."""
    found, at = dict[tuple[str, int], Came](), dict[str, datetime]()
    for number in range(1, chain.anvil.height() + 1):
        block = chain.anvil.ask("eth_getBlockByNumber", hex(number), True)
        at[block["hash"]] = datetime.fromtimestamp(int(block["timestamp"], 16), UTC)
        for one in block["transactions"]:
            to, units = (one["to"] or "").lower(), int(one["value"], 16)
            if to in requests and requests[to].contract is None and units:
                found[one["hash"], NATIVE] = Came(to, None, units, block["hash"], at[block["hash"]])
    for log in chain.anvil.ask(
        "eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "topics": [TRANSFER]}
    ):
        to = "0x" + log["topics"][2][-40:].lower()
        if to in requests and requests[to].contract is not None:
            name = log["transactionHash"], int(log["logIndex"], 16)
            came = int(log["data"], 16)
            found[name] = Came(to, log["address"], came, log["blockHash"], at[log["blockHash"]])
    return found


def _balance(chain: Chain, asked: CryptoRequest) -> int:
    if asked.contract is None:
        return int(chain.anvil.ask("eth_getBalance", asked.address, "latest"), 16)
    question = {"to": asked.contract, "data": f"0x70a08231{asked.address[2:].lower():0>64}"}
    return int(chain.anvil.ask("eth_call", question, "latest"), 16)
