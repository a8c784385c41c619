"""How tax numbers are written, and what is said of one that is not."""

from __future__ import annotations

import pytest

from services.core.errors import Invalid
from services.tax.numbers import register_of, written


@pytest.mark.parametrize(
    ("country", "given", "kept"),
    [
        ("DE", " de 136 695 976 ", "DE136695976"),
        ("DE", "136695976", "DE136695976"),
        ("AT", "ATU 13585627", "ATU13585627"),
        ("AT", "u13585627", "ATU13585627"),
        ("GR", "EL 094259216", "EL094259216"),
        ("GR", "094259216", "EL094259216"),
        ("BE", "BE 428759497", "BE0428759497"),  # as it was written before 2008
        ("FR", "40 303 265 045", "FR40303265045"),
        ("ES", "B58378431", "ESB58378431"),
        ("CH", "CHE-107.787.577 IVA", "CHE107787577IVA"),
        ("GB", "GB 980 7806 84", "980780684"),
        ("GB", "xi 980 7806 84", "XI980780684"),  # Northern Ireland, as VIES knows it
        ("US", "91-1144442", "91-1144442"),  # nothing is known of its form
    ],
)
def test_a_number_is_kept_as_its_register_writes_it(country: str, given: str, kept: str) -> None:
    assert written(country, given) == kept
    assert written(country, kept) == kept


@pytest.mark.parametrize(
    ("country", "given", "said"),
    [
        ("DE", "DE136695978", "check digits"),
        ("DE", "DE1366959", "too many or too few characters"),
        ("DE", "DE13669597X", "not written as tax numbers of DE are"),
        ("DE", "ATU13585627", "begins with AT, and the country is DE"),
        ("GB", "XI980780685", "check digits"),
        ("US", "-", "at least 3 letters and digits"),
        ("DE", "9" * 51, "at most 50 characters"),
    ],
)
def test_a_wrong_number_is_refused_with_what_is_wrong(country: str, given: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        written(country, given)
    assert refused.value.field == "tax_number"


def test_the_european_register_is_asked_about_numbers_of_the_union_only() -> None:
    asked = {"DE136695976": "DE", "EL094259216": "GR", "XI980780684": "GB"}
    not_asked = {"980780684": "GB", "CHE107787577IVA": "CH", "91-1144442": "US"}
    assert {register_of(country, number) for number, country in asked.items()} == {"VIES"}
    assert {register_of(country, number) for number, country in not_asked.items()} == {""}
