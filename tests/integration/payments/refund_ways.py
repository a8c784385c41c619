"""The ways in which staff may give a payment back, for histories that draw one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.payments import Payment
from models.refunds import RefundTo


def way(payment: Payment, how: str, percent: int, lines: Sequence[str]) -> dict[str, Any]:
    """What to ask of `refunds.Wanted`: `all`, a `part`, a `line`, or a part as a `credit`. `lines` are the ids of its
    invoice's, none of which are there for money on account."""
    part = max(1, payment.minor * percent // 100)
    return {
        "all": {},
        "part": {"amount": part},
        "line": {"lines": {lines[percent % len(lines)]: None} if lines else {}},
        "credit": {"amount": part, "to": RefundTo.CREDIT},
    }[how]
