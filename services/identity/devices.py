"""Browsers that people have signed in with before, by a cookie that outlives their sessions.

Who guesses at a password is a stranger. A browser with an account's mark once knew its password, so its attempts
are counted apart and no stranger's guessing slows them down. A mark opens nothing.
"""

from __future__ import annotations

import base64
import hmac
import re

from services.core.crypto import vault
from services.core.ids import new_secret

ACCOUNTS_MAX = 5  # that one browser is known by, the latest first
_NUMBER_BYTES = 12
_MARK_BYTES = 16
_SHAPE = re.compile(rf"[\w-]{{16}}(?:\.[\w-]{{22}}){{1,{ACCOUNTS_MAX}}}", re.ASCII)


def remember(device: str, account_id: str) -> str:
    """The cookie's next value, once this account has signed in on the browser whose cookie was `device`."""
    number, *marks = device.split(".") if _SHAPE.fullmatch(device) else [new_secret(_NUMBER_BYTES)]
    mark = _mark(number, account_id)
    others = [other for other in marks if other != mark]
    return ".".join([number, mark, *others[: ACCOUNTS_MAX - 1]])


def known(device: str, account_id: str) -> str | None:
    """The number of a browser that this account has signed in on before, else None."""
    if not _SHAPE.fullmatch(device):
        return None
    number, *marks = device.split(".")
    mark = _mark(number, account_id)
    return number if any(hmac.compare_digest(mark, one) for one in marks) else None


def _mark(number: str, account_id: str) -> str:
    """What only this installation can make of the two."""
    mark = vault().lookup_hash(f"device:{number}:{account_id}")[:_MARK_BYTES]
    return base64.urlsafe_b64encode(mark).rstrip(b"=").decode()
