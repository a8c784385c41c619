"""What an installation needs besides its tables: platform meters, built-in models, somebody who runs it."""

from __future__ import annotations

import getpass
import sys

from services.core import runtime
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.core.settings import Settings
from services.gateway import upstreams
from services.identity import passwords, rules, staff
from services.metering.service import ensure_platform_meters


async def furnish(settings: Settings) -> None:
    """Make what is missing of it. Changes nothing that is there, so it may run after every migration."""
    await runtime.start(settings, "migrate")
    try:
        async with crossing(Reason.CATALOG) as uow:
            await ensure_platform_meters(uow)
            await upstreams.ensure_builtin(uow)
    finally:
        await runtime.stop()


async def add_operator(settings: Settings, *, email: str, name: str) -> None:
    """Make an account that may do everything in the governance console. Raises MatrixError."""
    rules.require_good_password(password := _password(), email=rules.parse_email(email), name=name)
    password_hash = await passwords.hashed(password)
    await runtime.start(settings, "operator")
    try:
        async with crossing(Reason.STAFF, actor=system()) as uow:
            await staff.add_operator(uow, email=email, name=name, password_hash=password_hash)
    finally:
        await runtime.stop()


def _password() -> str:
    """Asked for twice at a terminal, else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise Invalid("The two passwords differ.", field="password")
    return password
