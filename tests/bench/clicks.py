"""What people click in benchmarks: the request log, a table of fifty rows."""

from __future__ import annotations

from typing import Any

from tests.bench.bare_pages import ROOT_STATE
from tests.bench.parties import Party
from tests.bench.product import Product

# Reflex's names for what runs after each navigation, and for the page's state.
_NAVIGATED = f"{ROOT_STATE}.reflex___state____on_load_internal_state.on_load_internal"
_REQUESTS_STATE = f"{ROOT_STATE}.state___portal___requests____requests_state"


def navigations(product: Product, party: Party) -> dict[str, Any]:
    """Options of the driver `portal`: a filter is set and taken away in turn, which are links.

    Each changes the page's address; then who looks is read again, and the rows: three events of the server.
    """
    return _options(product, party, _NAVIGATED)


def readings(product: Product, party: Party) -> dict[str, Any]:
    """Options of the driver `portal`: the rows are read again, one event, as a live page does."""
    return _options(product, party, f"{_REQUESTS_STATE}.load")


def _options(product: Product, party: Party, event: str) -> dict[str, Any]:
    return {
        "address": product.address,
        "cookie": party.cookie,
        "path": "/portal/requests",
        "root": ROOT_STATE,
        "state": _REQUESTS_STATE,
        "events": [[event, {"outcome": "ok"}], [event, {}]],
    }
