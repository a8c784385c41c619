"""Whether an event is Stripe's, of now, and of our account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import stripe

from services.payments.providers import stripe_reading as reading
from services.payments.providers.base import WebhookRefused
from services.payments.providers.values import ProviderEvent

EVENT_AGE_MAX = timedelta(minutes=5)  # of its signature, either way
EVENT_BYTES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class StripeAccount:
    """Ours at Stripe. Two webhook secrets are valid while one is being replaced.

    `base` is the address of a test provider instead of Stripe's own, which may be private only if `allowed` names its
    host:port. `account` is only known by platforms: without it, events that name any account are another's.
    """

    secret_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False, default=())
    account: str = ""
    base: str = ""
    allowed: frozenset[str] = frozenset()

    @property
    def live(self) -> bool:
        return self.secret_key.startswith(("sk_live_", "rk_live_"))


def verified(
    account: StripeAccount, headers: Mapping[str, str], raw: bytes, *, now: datetime
) -> ProviderEvent:
    if len(raw) > EVENT_BYTES_MAX:
        raise WebhookRefused("it is too large")
    header = next((value for name, value in headers.items() if name.lower() == "stripe-signature"), "")
    signed = _signed_at(account, header, raw)
    if abs(now - signed) > EVENT_AGE_MAX:
        raise WebhookRefused("its signature is too old or from the future")
    try:
        told: Any = json.loads(raw)
        event = reading.event(told)
        named, live = told.get("account", ""), told["livemode"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WebhookRefused("it is no event") from error
    if live is not account.live or (named and named != account.account):
        raise WebhookRefused("it is of another account")
    return event


def _signed_at(account: StripeAccount, header: str, raw: bytes) -> datetime:
    """When it was signed, if with one of our secrets. The SDK's own check of the age would read the clock."""
    for secret in account.webhook_secrets:
        try:
            stripe.WebhookSignature.verify_header(raw, header, secret)  # pyright: ignore[reportUnknownMemberType]
            stated = dict(part.split("=", 1) for part in header.split(","))["t"]
            return reading.at(int(stated))
        except (stripe.SignatureVerificationError, ValueError, OverflowError, OSError):
            continue
    raise WebhookRefused("its signature is missing or wrong")
