"""What cards are called: people read "American Express" where a provider says `amex`."""

from __future__ import annotations

_NAMES = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "discover": "Discover",
    "eftpos_au": "Eftpos",
    "jcb": "JCB",
    "link": "Link",
    "maestro": "Maestro",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}


def named(brand: str) -> str:
    """What a provider calls a brand, as people do; as it is where that is not known."""
    return _NAMES.get(brand.lower(), brand)


def named_card(said: str) -> str:
    """The same of a brand with what follows it: `visa 4242`."""
    brand, space, rest = said.partition(" ")
    return f"{named(brand)}{space}{rest}"
