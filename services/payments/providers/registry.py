"""Which payment providers there are: one line each. docs/payment-providers.md says how to add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.core.errors import Invalid
from services.payments.providers.base import PaymentProvider
from services.payments.providers.values import Capabilities

Text = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """How an account with a provider is opened, and what it has to say for that.

    `settings` anybody may know, `secrets` nobody; `optional` are settings that may be left out.
    """

    open: Callable[[Text, Text], PaymentProvider]  # settings, secrets
    capabilities: Capabilities
    settings: frozenset[str]
    secrets: frozenset[str]
    optional: frozenset[str] = frozenset()


KINDS: dict[str, Kind] = {}


def kind(provider: str) -> Kind:
    """Raises Invalid for a provider that nobody knows."""
    found = KINDS.get(provider)
    if found is None:
        raise Invalid(f"There is no provider {provider!r}: {', '.join(sorted(KINDS))}.", field="provider")
    return found
