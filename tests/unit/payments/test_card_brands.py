"""A card's brand is one code, whatever a provider or a scheme calls it."""

from __future__ import annotations

import pytest

from services.payments import brands
from services.payments.brands import CardBrand


@pytest.mark.parametrize(
    ("word", "code", "name"),
    [
        ("visa", CardBrand.VISA, "Visa"),
        ("VISA", CardBrand.VISA, "Visa"),
        ("amex", CardBrand.AMEX, "American Express"),
        ("American Express", CardBrand.AMEX, "American Express"),
        ("Diners Club", CardBrand.DINERS, "Diners Club"),
        ("CB_NATIONALE", CardBrand.CARTES_BANCAIRES, "Cartes Bancaires"),
        ("CHINA_UNION_PAY", CardBrand.UNIONPAY, "UnionPay"),
        ("unknown", CardBrand.UNKNOWN, ""),
        ("a new one", CardBrand.UNKNOWN, ""),
        ("", CardBrand.UNKNOWN, ""),
    ],
)
def test_what_providers_call_a_brand_is_one_code(word: str, code: CardBrand, name: str) -> None:
    assert brands.code(word) is code
    assert brands.named(code) == name


@pytest.mark.parametrize("one", CardBrand)
def test_a_code_stays_itself(one: CardBrand) -> None:
    assert brands.code(one) is one
