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
