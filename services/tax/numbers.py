"""How tax numbers are written, country by country, and where one can ask whether they exist. Pure, no I/O.

Form and check digits are python-stdnum's to judge; a number that has them need not have been given to anybody.
"""

from __future__ import annotations

import re

from stdnum import exceptions, get_cc_module

from services.core.errors import Invalid

NUMBER_CHARACTERS_MAX = 50
VIES = "VIES"
# Who answers for a country's numbers in VIES, by the country: its own letters, but for Greece.
_LETTERS = {
    country: "EL" if country == "GR" else country
    for country in (
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT",
        "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
    )
}  # fmt: skip
# Businesses in Northern Ireland have, beside the British number, the same one with letters of their own in VIES.
_NORTHERN_IRELAND, _IN_VIES = "GB", "XI"
_PLAIN = re.compile(r"[A-Z0-9][A-Z0-9 ./-]{2,49}")


def register_of(country: str, number: str) -> str:
    """Who can be asked whether a number, as `written` in its country, exists; empty where nobody can, and staff
    decides."""
    is_there = country in _LETTERS or (country == _NORTHERN_IRELAND and number.startswith(_IN_VIES))
    return VIES if is_there else ""


def written(country: str, given: str, *, field: str = "tax_number") -> str:
    """The number of a business in `country` as its register writes it: in the EU with the letters in front.

    Where nothing is known of a country's numbers, what was given in capitals. Raises Invalid, with what is wrong.
    """
    text = " ".join(given.upper().split())
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise Invalid(f"A tax number has at most {NUMBER_CHARACTERS_MAX} characters.", field=field)
    letters = _LETTERS.get(country, "")
    if country == _NORTHERN_IRELAND and text.startswith(_IN_VIES):
        letters, text = _IN_VIES, text.removeprefix(_IN_VIES).strip()
    known = get_cc_module(country.lower(), "vat")
    if known is None:
        if not _PLAIN.fullmatch(text):
            raise _refused(f"{text!r} is no tax number: at least 3 letters and digits are.", field)
        return text
    try:
        return letters + str(known.validate(text))
    except exceptions.ValidationError as error:
        raise _wrong(country, text, error, field) from error


def _wrong(country: str, text: str, error: exceptions.ValidationError, field: str) -> Invalid:
    letters = _LETTERS.get(country, country)
    if text[:2] != letters and text[:2] in _LETTERS.values():
        return Invalid(
            f"{text!r} begins with {text[:2]}, and the country is {country}.",
            field=field,
            next_step=f"Enter your number in {country}, or correct the country.",
        )
    if isinstance(error, exceptions.InvalidChecksum):
        return _refused(f"The check digits of {text!r} do not fit: at least one character is wrong.", field)
    if isinstance(error, exceptions.InvalidLength):
        return _refused(f"{text!r} has too many or too few characters for a tax number of {country}.", field)
    return _refused(f"{text!r} is not written as tax numbers of {country} are.", field)


def _refused(message: str, field: str) -> Invalid:
    return Invalid(
        message, field=field, next_step="Copy it from the paper of your tax office, or leave it out."
    )
