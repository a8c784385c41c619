"""Addresses of our own pages: what a page is told by its query, and where it may send people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

HOME = "/portal"
SIGN_IN = "/sign-in"
NEW_ORGANIZATION = "/welcome"

_OWN_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")


def own_path(path: str, otherwise: str = HOME) -> str:
    """`path` if it stays on this site, else `otherwise`: an address from outside must not lead elsewhere."""
    return path if _OWN_PATH.fullmatch(path) else otherwise


def with_query(path: str, parameters: Mapping[str, str]) -> str:
    """`path` with the parameters that say something; the empty ones stay out of the address."""
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"{path}?{query}" if query else path


def sign_in_for(path: str) -> str:
    """The sign-in page that afterwards leads back to `path`."""
    back = own_path(path, "")
    return f"{SIGN_IN}?next={quote(back, safe='')}" if back else SIGN_IN
