"""What looks like a card number is found, however it is grouped; identifiers, sums and hashes are not."""

from __future__ import annotations

import pytest

from services.core.cards import card_numbers, masked
from tests.fakes.stripe.cards import CARDS

VISA = "4242424242424242"


@pytest.mark.parametrize(
    "number",
    [
        "4222222222222", "4000000000000000006", "5555555555554444", "2223003122003222", "378282246310005",
        "6011111111111117", "3566002020360505", "6200000000000005", "30569309025904",
        "36227206271667", "6759649826438453", *sorted({card.number for card in CARDS}),
    ],
)  # fmt: skip
def test_a_card_number_is_found(number: str) -> None:
    grouped = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    for said in (number, f"my card {grouped}, thanks", f'{{"card":"{number}"}}', f"12 {grouped} 12/30 123"):
        assert len(card_numbers(said)) == 1, said
        assert number[-5:] not in masked(said).replace(" ", "")


@pytest.mark.parametrize(
    "said",
    [
        "", "4242", "4242424242424241",  # the check digit is wrong
        "1234567812345670",  # of no issuer
        "0000000000000000", f"x{VISA}", f"{VISA}a", f"inv_{VISA}", f"1{VISA}00", f"{VISA}.50", f"0.{VISA}",
        "DE89 3704 0044 0532 0130 00", "2026-11-27 10:30:31", "+49 30 1234567", "01k4242424242424242abc",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)  # fmt: skip
def test_what_is_none_is_left_alone(said: str) -> None:
    assert card_numbers(said) == []
    assert masked(said) == said


def test_digits_of_other_scripts_are_digits() -> None:
    arabic = "".join(chr(0x0660 + int(c)) for c in VISA)

    assert masked(f"{arabic} and {VISA}") == "[card number] and [card number]"
