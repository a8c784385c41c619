"""Between a right password and its code: a secret in a cookie of one browser, for a few minutes and one sign-in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from models.identity import SignInChallenge
from services.core.crypto import vault
from services.core.errors import Unauthenticated
from services.core.ids import new_secret
from services.core.work import UnitOfWork
from services.identity import rules


async def issue(uow: UnitOfWork, account_id: str, *, sign_in_id: str) -> str:
    """A secret that stands for a right password. `sign_in_id` is the attempt's note."""
    token = new_secret()
    uow.add(
        SignInChallenge(
            token_hash=vault().lookup_hash(token),
            account_id=account_id,
            sign_in_id=sign_in_id,
            created_at=uow.wall_now,
            expires_at=uow.wall_now + rules.CHALLENGE_VALID,
        )
    )
    return token


_OPEN = """
select c.token_hash, c.account_id, c.sign_in_id, a.email_key, a.suspended_at
from sign_in_challenge c join account a on a.id = c.account_id
where c.token_hash = :hash and c.expires_at > :now
"""


async def require(uow: UnitOfWork, token: str, *, lock: bool = False) -> Row[Any]:
    """The challenge of a secret. Raises Unauthenticated for one that is over, was used or never was."""
    row = None
    if token and token.isascii():
        statement = f"{_OPEN} for update of c" if lock else _OPEN
        found = await uow.execute(statement, hash=vault().lookup_hash(token), now=uow.wall_now)
        row = found.one_or_none()
    if row is None:
        raise Unauthenticated(
            "No sign-in waits for a code on this browser, or it took too long.",
            next_step="Sign in again.",
            code="challenge_ended",
        )
    return row


async def use_up(uow: UnitOfWork, challenge: Row[Any]) -> None:
    await uow.execute("delete from sign_in_challenge where token_hash = :hash", hash=challenge.token_hash)


async def end_all(uow: UnitOfWork, account_id: str) -> None:
    """What they stand for, a right password, is no longer enough to begin with."""
    await uow.execute("delete from sign_in_challenge where account_id = :id", id=account_id)
