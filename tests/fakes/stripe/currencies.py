"""Amounts as Stripe takes them: smallest units of its own count, least amounts, and rules for the odd ones.

From docs.stripe.com/currencies. Written down here again and not taken from our own tables, which it is to test.
"""

from __future__ import annotations

from decimal import Decimal

from tests.fakes.stripe.refusals import Refusal

AMOUNT_MAX = 99_999_999
ZERO = {
    "bif",
    "clp",
    "djf",
    "gnf",
    "jpy",
    "kmf",
    "krw",
    "mga",
    "pyg",
    "rwf",
    "vnd",
    "vuv",
    "xaf",
    "xof",
    "xpf",
}
THREE = {"bhd", "jod", "kwd", "omr", "tnd"}
WITH_TWO_ZEROS = {"isk", "ugx"}
TWO = {
    "usd",
    "aed",
    "afn",
    "all",
    "amd",
    "aoa",
    "ars",
    "aud",
    "awg",
    "azn",
    "bam",
    "bbd",
    "bdt",
    "bmd",
    "bnd",
    "bob",
    "brl",
    "bsd",
    "bwp",
    "byn",
    "bzd",
    "cad",
    "cdf",
    "chf",
    "cny",
    "cop",
    "crc",
    "cve",
    "czk",
    "dkk",
    "dop",
    "dzd",
    "egp",
    "etb",
    "eur",
    "fjd",
    "fkp",
    "gbp",
    "gel",
    "gip",
    "gmd",
    "gtq",
    "gyd",
    "hkd",
    "hnl",
    "htg",
    "huf",
    "idr",
    "ils",
    "inr",
    "jmd",
    "kes",
    "kgs",
    "khr",
    "kyd",
    "kzt",
    "lak",
    "lbp",
    "lkr",
    "lrd",
    "lsl",
    "mad",
    "mdl",
    "mkd",
    "mmk",
    "mnt",
    "mop",
    "mur",
    "mvr",
    "mwk",
    "mxn",
    "myr",
    "mzn",
    "nad",
    "ngn",
    "nio",
    "nok",
    "npr",
    "nzd",
    "pab",
    "pen",
    "pgk",
    "php",
    "pkr",
    "pln",
    "qar",
    "ron",
    "rsd",
    "rub",
    "sar",
    "sbd",
    "scr",
    "sek",
    "sgd",
    "shp",
    "sle",
    "sos",
    "srd",
    "std",
    "szl",
    "thb",
    "tjs",
    "top",
    "try",
    "ttd",
    "twd",
    "tzs",
    "uah",
    "uyu",
    "uzs",
    "wst",
    "xcd",
    "xcg",
    "yer",
    "zar",
    "zmw",
}
SUPPORTED = ZERO | THREE | TWO | WITH_TWO_ZEROS
LEAST = {
    "usd": 50, "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip


def checked(amount: int, currency: str, *, least: bool) -> str:
    """The currency in lower case, if Stripe would take that amount of it. `least` asks for the least charge, too."""
    code = currency.lower()
    if code not in SUPPORTED:
        raise Refusal(
            f"Invalid currency: {code}. Stripe currently supports these currencies: {', '.join(sorted(SUPPORTED))}",
            param="currency",
        )
    if amount < 1:
        raise Refusal(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    if amount > AMOUNT_MAX:
        raise Refusal(f"Amount must be no more than {AMOUNT_MAX}", code="amount_too_large", param="amount")
    step = 10 if code in THREE else 100 if code in WITH_TWO_ZEROS else 1
    if amount % step:
        raise Refusal(f"Invalid amount: in {code} it must be a multiple of {step}.", param="amount")
    if least and amount < LEAST.get(code, 1):
        raise Refusal(
            f"Amount must be at least {LEAST[code]} {code}", code="amount_too_small", param="amount"
        )
    return code


def text(amount: int, code: str) -> str:
    """As people write it: 20.00 USD for 2000 usd."""
    places = 0 if code in ZERO else 3 if code in THREE else 2
    return f"{Decimal(amount).scaleb(-places):f} {code.upper()}"
