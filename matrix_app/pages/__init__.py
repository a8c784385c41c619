"""Pages by console. Importing a page's module declares it; `load_all` imports them all."""

from __future__ import annotations

import importlib
import pkgutil


def load_all() -> None:
    """Import every page module, so that the registry is complete."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)
