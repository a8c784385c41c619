"""What cards are called: one code for each brand whoever keeps the card, and the name that people read."""

from __future__ import annotations

from enum import StrEnum


class CardBrand(StrEnum):
    UNKNOWN = ""  # or no card at all
    AMEX = "amex"
    CARTES_BANCAIRES = "cartes_bancaires"
    DINERS = "diners"
    DISCOVER = "discover"
    EFTPOS_AU = "eftpos_au"
    JCB = "jcb"
    LINK = "link"
    MAESTRO = "maestro"
    MASTERCARD = "mastercard"
    UNIONPAY = "unionpay"
    VISA = "visa"


_NAMES = {
    CardBrand.UNKNOWN: "",
    CardBrand.AMEX: "American Express",
    CardBrand.CARTES_BANCAIRES: "Cartes Bancaires",
    CardBrand.DINERS: "Diners Club",
    CardBrand.DISCOVER: "Discover",
    CardBrand.EFTPOS_AU: "Eftpos",
    CardBrand.JCB: "JCB",
    CardBrand.LINK: "Link",
    CardBrand.MAESTRO: "Maestro",
    CardBrand.MASTERCARD: "Mastercard",
    CardBrand.UNIONPAY: "UnionPay",
    CardBrand.VISA: "Visa",
}
# What providers and schemes also write, without regard to case, blanks and signs.
_CODES = {
    "".join(filter(str.isalnum, word)).lower(): one for one in CardBrand for word in (one, _NAMES[one])
} | {
    "cb": CardBrand.CARTES_BANCAIRES,
    "cbnationale": CardBrand.CARTES_BANCAIRES,
    "chinaunionpay": CardBrand.UNIONPAY,
}


def code(word: str) -> CardBrand:
    """Of what a provider calls a brand."""
    return _CODES.get("".join(filter(str.isalnum, word)).lower(), CardBrand.UNKNOWN)


def named(brand: str) -> str:
    """What people call a brand."""
    return _NAMES[code(brand)]


def named_card(said: str) -> str:
    """The same of a brand with what follows it: `visa 4242`."""
    brand, space, rest = said.partition(" ")
    return f"{named(brand)}{space}{rest}"
