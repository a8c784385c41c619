"""Addresses, filters, formats and cookies: what comes from outside is taken for nothing more than text."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.money import figure_text
from services.identity.cookies import session_token
from state.addresses import own_path, sign_in_for, with_query
from state.format import decimal_text, instant_text
from state.portal.snippets import curl_for


@pytest.mark.parametrize(
    "path",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a b", "/a\nb"],
)
def test_an_address_elsewhere_is_not_followed(path: str) -> None:
    assert own_path(path) == "/portal"
    assert sign_in_for(path) == "/sign-in"


def test_an_own_address_is_kept_with_its_query() -> None:
    assert own_path("/portal/usage?range=7d&model=a%20b") == "/portal/usage?range=7d&model=a%20b"
    assert sign_in_for("/portal/usage?range=7d") == "/sign-in?next=%2Fportal%2Fusage%3Frange%3D7d"


def test_empty_parameters_stay_out_of_the_address() -> None:
    assert with_query("/portal/requests", {"model": "", "key": "a&b"}) == "/portal/requests?key=a%26b"
    assert with_query("/portal/requests", {}) == "/portal/requests"


@pytest.mark.parametrize(
    ("cookies", "token"),
    [
        ("matrix_session_3000=abc", "abc"),
        ("theme=dark; matrix_session_3000=abc-_1; other=x", "abc-_1"),
        ("matrix_session_3001=abc", ""),
        ("", ""),
        ("\x00;;=", ""),
    ],
)
def test_the_session_is_found_among_cookies(cookies: str, token: str) -> None:
    assert session_token(cookies, "http://localhost:3000") == token


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("12.500000000000"), "12.5"),
        (Decimal("0E-12"), "0"),
        (Decimal("-0.00"), "0"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.000000000001"), "0.000000000001"),
        (None, ""),
    ],
)
def test_a_decimal_keeps_all_its_digits(amount: Decimal | None, text: str) -> None:
    assert decimal_text(amount) == text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (Decimal("1234567"), "", "1,234,567"),
        (Decimal("24.184"), "EUR", "24.18\u00a0EUR"),
        (Decimal("0.000123456"), "USD", "0.0001235\u00a0USD"),
        (Decimal(0), "USD", "0.00\u00a0USD"),
    ],
)
def test_a_figure_in_a_sentence_says_enough(amount: Decimal, currency: str, text: str) -> None:
    assert figure_text(amount, currency) == text


def test_an_instant_carries_its_offset() -> None:
    assert instant_text(datetime(2026, 3, 1, 12, tzinfo=UTC)) == "2026-03-01T12:00:00+00:00"
    assert instant_text(None) == ""


def test_the_call_to_paste_is_what_the_api_takes() -> None:
    shown = curl_for("http://localhost:3000", "tiny", ["chat", "completions"], "{secret}")

    assert "curl http://localhost:3000/v1/chat/completions" in shown
    assert '-H "Authorization: Bearer {secret}"' in shown
    body = shown.split("-d '", 1)[1].removesuffix("'")
    assert __import__("json").loads(body)["model"] == "tiny"
    assert "/v1/embeddings" in curl_for("http://x", "vec", ["embeddings"], "k")
