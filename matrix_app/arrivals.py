"""Who asks for a page that is not for them is led to the right one by the answer itself.

A page that is drawn first and led on from by its script, a moment later, undoes whatever was clicked in that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from matrix_app.pages.registry import LED_ON, Console, console_at
from services.core.errors import Unavailable
from services.core.settings import settings
from services.identity.cookies import session_token
from services.identity.queries import SignedIn, actor_for_token
from state import addresses
from state.session import home_of

ENTRANCES = frozenset({"/", addresses.SIGN_IN, f"{addresses.SIGN_IN}/code", "/sign-up"})
_CONSOLES = frozenset({Console.PORTAL, Console.GOVERNANCE})  # whose pages show one's organisation


async def led_to(scope: Mapping[str, Any]) -> str | None:
    """Where the answer to this request for a page leads; None where the page itself is the answer.

    While the database is away nobody knows who asks: the page says so, and goes on by itself.
    """
    path = scope["path"].rstrip("/") or "/"
    if path in LED_ON:
        return LED_ON[path]
    console = console_at(path)
    is_own = console in {*_CONSOLES, Console.ACCOUNT} or path == addresses.NEW_ORGANIZATION
    if path not in ENTRANCES and not is_own:
        return None
    query = scope["query_string"].decode("latin-1")
    try:
        caller = await _caller(scope)
    except Unavailable:
        return None
    if path in ENTRANCES:
        return None if caller is None else _way_in(caller, query)
    if caller is None:
        return addresses.sign_in_for(f"{path}?{query}" if query else path)
    return addresses.NEW_ORGANIZATION if console in _CONSOLES and caller.organization is None else None


def _way_in(caller: SignedIn, query: str) -> str:
    """To the page that was asked for before, or home."""
    asked = parse_qs(query).get("next", [""])[0]
    return addresses.own_path(asked, home_of(caller))


async def _caller(scope: Mapping[str, Any]) -> SignedIn | None:
    # HTTP/2 may send one header for each cookie.
    cookies = "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
    token = session_token(cookies, settings().public_url)
    return await actor_for_token(token) if token else None
