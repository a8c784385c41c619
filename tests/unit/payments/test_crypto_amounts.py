"""Amounts on a chain and addresses below a public key."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.money import Money, currency
from services.core.errors import Invalid
from services.crypto.amounts import SHOWN_DIGITS_MAX, asked, came, coins, worth
from services.payments.providers.crypto_keys import address_of, checksummed, read_key

# m/44'/60'/0' of "test test test test test test test test test test test junk", and what every wallet derives of it.
KEY = "xpub6BemYiVNp19ZzUSZng6uUnx3dQm5eRwcjTjZh2wBRosHnSF4QNykc8MvSiJcUseh3sA1WL82iquWY2bRBv8Qqsn8ugJK63aLXKyPosCnGUv"
ADDRESSES = (
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
)
prices = st.decimals(min_value=Decimal("0.000000000001"), max_value=10**9, places=12)


@given(
    minor=st.integers(1, 10**15),
    price=prices,
    decimals=st.sampled_from((0, 6, 18)),
    code=st.sampled_from(("EUR", "JPY", "KWD")),
    more=st.integers(0, 10**20),
)
@example(minor=1, price=Decimal(3), decimals=18, code="EUR", more=0)
@example(minor=11_900, price=Decimal(10**9), decimals=0, code="EUR", more=1)  # one unit is worth millions
def test_what_is_asked_is_worth_what_is_owed_and_what_came_is_never_more_than_it_is_worth(
    minor: int, price: Decimal, decimals: int, code: str, more: int
) -> None:
    owed = Money(minor, code)
    units = asked(owed, price, decimals)
    step = 10 ** max(0, decimals - SHOWN_DIGITS_MAX)

    def true(units: int) -> Fraction:
        return Fraction(units, 10**decimals) * Fraction(price) * 10 ** currency(code).exponent

    assert true(units) >= minor > true(units - step)  # and not one step more than that
    assert units % step == 0
    assert Fraction(coins(units, decimals)) * 10**decimals == units
    assert came(units, units, owed, price, decimals) == owed
    assert came(units - 1, units, owed, price, decimals).minor <= true(units - 1)
    assert owed <= came(units + more, units, owed, price, decimals)
    assert came(units + more, units, owed, price, decimals).minor <= true(units + more)
    assert worth(more, price, decimals, code) + worth(units, price, decimals, code) <= worth(
        more + units, price, decimals, code
    )


def test_addresses_are_those_of_the_wallet_in_its_order() -> None:
    assert tuple(address_of(KEY, index) for index in range(3)) == ADDRESSES
    assert checksummed(ADDRESSES[1].lower()) == ADDRESSES[1]
    with pytest.raises(IndexError):
        read_key(KEY).child(2**31)
    with pytest.raises(Invalid):
        checksummed(ADDRESSES[1].replace("C", "c"))
