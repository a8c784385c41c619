"""All lists that services declare, found by themselves."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import services
from services.core.listing import Listing


def every_listing() -> dict[str, Listing[Any]]:
    found: dict[str, Listing[Any]] = {}
    for module in pkgutil.walk_packages(services.__path__, "services."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Listing):
                assert found.setdefault(value.name, value) is value, f"two lists are called {value.name!r}"
    return found


# Lists that stay short whoever uses the product for how long, and why.
_BY_HAND = "staff adds to it by hand"
_OF_ONE = "what one organisation has of it at a time"
BOUNDED = {
    "budgets": _OF_ONE,
    "contests": _OF_ONE,
    "invitations": _OF_ONE,
    "keys": _OF_ONE,
    "members": _OF_ONE,
    "models": _BY_HAND,
    "projects": _OF_ONE,
    "service_accounts": _OF_ONE,
    "sessions": "where one person is signed in",
    "staff.coupons": _BY_HAND,
    "staff.dunning_campaigns": _BY_HAND,
    "staff.held_jobs": "what failed for good and waits for a person",
    "staff.invoice_series": "one of a legal entity and year",
    "staff.brands": _BY_HAND,
    "staff.legal_entities": _BY_HAND,
    "staff.models": _BY_HAND,
    "staff.plan_migrations": _BY_HAND,
    "staff.plan_versions": _BY_HAND,
    "staff.plans": _BY_HAND,
    "staff.prices": _BY_HAND,
    "staff.products": _BY_HAND,
    "staff.provider_accounts": _BY_HAND,
    "staff.tax_rates": _BY_HAND,
    "staff.templates": _BY_HAND,
    "staff.upstreams": _BY_HAND,
    "wallets": "one of an organisation and currency",
}
