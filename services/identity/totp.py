"""Codes of authenticator apps, as RFC 6238 has them: six digits, a new one every 30 seconds. Pure.

The arithmetic is that of `pyotp`. SHA-1, its default, is what all apps understand, and sound in this use.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import unicodedata
from datetime import datetime

import segno
from pyotp.totp import TOTP

STEP_S = 30
DIGITS = 6
DRIFT_STEPS = 1  # how far a phone's clock may be off, either way
SEED_BYTES = 20  # what RFC 4226 recommends
ISSUER = "Matrix"


def new_seed() -> bytes:
    return secrets.token_bytes(SEED_BYTES)


def address(seed: bytes, *, email: str) -> str:
    """The otpauth address that apps take, from a link or a QR code. As secret as the seed."""
    return _codes(seed).provisioning_uri(name=email, issuer_name=ISSUER)


def picture(address: str) -> str:
    """The address as a QR code: a picture on white, as a `data:` URL, which cameras read in any theme."""
    return segno.make(address, error="m", micro=False).svg_data_uri(scale=4, light="white", omitsize=True)


def key_text(seed: bytes) -> str:
    """The seed as people type it into an app: base 32, in groups of four."""
    letters = base64.b32encode(seed).decode().rstrip("=")
    return " ".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def code_at(seed: bytes, at: datetime) -> str:
    """What an app shows at that moment."""
    return _codes(seed).at(at)


def matching_step(seed: bytes, code: str, *, now: datetime, after: int) -> int | None:
    """The step whose code `code` is, within DRIFT_STEPS of now; None for a wrong code, or one of a step up to `after`.

    The work is the same whatever the code.
    """
    typed = digits_of(code)
    current = int(now.timestamp()) // STEP_S
    found = None
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        right = _codes(seed).generate_otp(step)
        if hmac.compare_digest(right, typed) and step > after:
            found = step
    return found


def digits_of(code: str) -> str:
    """The digits somebody typed, in whatever script and grouping; empty if it is anything else."""
    compact = "".join(code.split())
    if len(compact) != DIGITS or not compact.isdecimal():
        return ""
    return "".join(str(unicodedata.decimal(one)) for one in compact)


def _codes(seed: bytes) -> TOTP:
    return TOTP(base64.b32encode(seed).decode(), digits=DIGITS, interval=STEP_S)
