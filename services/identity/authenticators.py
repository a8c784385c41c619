"""Two-step verification of one's own account: an authenticator app, and recovery codes for when it is lost.

The verbs work on the account of the actor, in a unit of work that crosses tenants (Reason.ACCOUNT): an account
belongs to no organisation. Seeds and codes go to their owner once and are never read again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from models.identity import Authenticator, RecoveryCode
from services.core.crypto import Place, vault
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.openings import Purpose, opened
from services.core.work import UnitOfWork
from services.identity import challenges, own_sessions, totp
from services.identity.events import (
    AuthenticatorDisabled,
    AuthenticatorEnabled,
    RecoveryCodesMade,
    RecoveryCodesReplaced,
    RecoveryCodeUsed,
)
from services.identity.policies import account_of
from services.identity.proof import require_recent_proof

RECOVERY_CODES = 10
RECOVERY_CODE_CHARACTERS = 12  # of 32: 60 bits each, so a keyed hash is enough to keep them by
CODE_CHARACTERS_MAX = 100
# Crockford's base 32, without the letters that look like digits.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LOOKS_LIKE = str.maketrans({"o": "0", "i": "1", "l": "1"})

How = Literal["code", "recovery_code"]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app needs. Shown once, to whoever enrols."""

    key: str
    address: str
    picture: str


@dataclass(frozen=True, slots=True)
class TwoStep:
    """How two-step verification stands. `recovery_codes` are those not used yet."""

    enabled_at: datetime | None
    recovery_codes: int


async def two_step(uow: UnitOfWork) -> TwoStep:
    """How two-step verification of the actor's own account stands."""
    found = await uow.execute(
        "select (select confirmed_at from authenticator where account_id = :id) as enabled_at,"
        " (select count(*) from recovery_code where account_id = :id and used_at is null) as left",
        id=account_of(uow),
    )
    row = found.one()
    return TwoStep(row.enabled_at, row.left if row.enabled_at else 0)


async def is_enabled(uow: UnitOfWork, account_id: str) -> bool:
    """Whether signing in to the account asks for a code."""
    found = await uow.execute(
        "select from authenticator where account_id = :id and confirmed_at is not null", id=account_id
    )
    return found.first() is not None


async def begin(uow: UnitOfWork) -> Enrolment:
    """A new seed, which counts once `confirm` has seen a code of it; one that was not confirmed is forgotten.

    Raises ProofNeeded, or Conflict when an app is in use.
    """
    require_recent_proof(uow)
    account_id, seed = account_of(uow), totp.new_seed()
    stored = await uow.execute(
        "insert into authenticator as a (account_id, seed_sealed, created_at, last_step)"
        " values (:id, :sealed, :now, -1) on conflict (account_id) do update"
        " set seed_sealed = excluded.seed_sealed, created_at = excluded.created_at, last_step = -1"
        " where a.confirmed_at is null",
        id=account_id,
        sealed=await vault().seal(seed, _place(account_id)),
        now=uow.wall_now,
    )
    if stored.rowcount == 0:
        raise Conflict(
            "An authenticator app is in use already.",
            next_step="Turn two-step verification off first, then set up the other app.",
            code="authenticator_in_use",
        )
    email = (await uow.execute("select email from account where id = :id", id=account_id)).scalar_one()
    address = totp.address(seed, email=email)
    return Enrolment(totp.key_text(seed), address, totp.picture(address))


async def confirm(uow: UnitOfWork, code: str) -> list[str]:
    """Have signing in ask for codes from now on. Returns the recovery codes, which nobody can read again.

    What the password alone has opened ends: the other sessions, and sign-ins that wait for a code.
    Raises ProofNeeded, Invalid (`wrong_code`), or Conflict when nothing waits to be confirmed.
    """
    require_recent_proof(uow)
    account_id = account_of(uow)
    # The account's row first: who signs in at the same time has it locked, and is seen below.
    await uow.execute("select from account where id = :id for no key update", id=account_id)
    await challenges.end_all(uow, account_id)
    row = await uow.get(Authenticator, account_id, lock=True)
    if row is None or row.confirmed_at is not None:
        raise Conflict(
            "No authenticator app waits to be confirmed.", next_step="Set one up first.", code="not_enrolling"
        )
    step = await _step(uow, row, code)
    if step is None:
        raise wrong_code()
    row.last_step, row.confirmed_at = step, uow.wall_now
    uow.record(AuthenticatorEnabled(aggregate_id=account_id, organization_id=None))
    await own_sessions.end_all(uow, account_id, reason="two_step_enabled", but=uow.actor.session_id)
    uow.record(RecoveryCodesMade(aggregate_id=account_id, organization_id=None))
    return await _new_recovery_codes(uow, account_id)


async def disable(uow: UnitOfWork) -> None:
    """Sign in by password alone again. Raises ProofNeeded. Twice changes nothing."""
    require_recent_proof(uow)
    account_id = account_of(uow)
    gone = await uow.execute(
        "delete from authenticator where account_id = :id returning confirmed_at", id=account_id
    )
    await uow.execute("delete from recovery_code where account_id = :id", id=account_id)
    if gone.scalar_one_or_none() is not None:
        uow.record(AuthenticatorDisabled(aggregate_id=account_id, organization_id=None))


async def renew_recovery_codes(uow: UnitOfWork) -> list[str]:
    """Other recovery codes in place of all there were. Raises ProofNeeded, or Conflict without an authenticator."""
    require_recent_proof(uow)
    row = await uow.get(Authenticator, account_of(uow), lock=True)
    if row is None or row.confirmed_at is None:
        raise Conflict(
            "Recovery codes belong to two-step verification, which is off.",
            next_step="Turn it on first.",
            code="two_step_off",
        )
    uow.record(RecoveryCodesReplaced(aggregate_id=row.account_id, organization_id=None))
    return await _new_recovery_codes(uow, row.account_id)


async def take_code(uow: UnitOfWork, account_id: str, code: str) -> How | None:
    """Use up a code of the account's app, or a recovery code; None for one that is wrong or was used.

    Who calls it has counted the attempt (throttle.py).
    """
    row = await uow.get(Authenticator, account_id, lock=True)
    if row is None or row.confirmed_at is None or len(code) > CODE_CHARACTERS_MAX:
        return None
    step = await _step(uow, row, code)
    if step is not None:
        row.last_step = step
        return "code"
    used = await uow.execute(
        "update recovery_code set used_at = :now where account_id = :id and code_hash = :hash and used_at is null",
        now=uow.wall_now,
        id=account_id,
        hash=_recovery_hash(account_id, code),
    )
    if used.rowcount == 0:
        return None
    uow.record(RecoveryCodeUsed(aggregate_id=account_id, organization_id=None))
    return "recovery_code"


def looks_like_recovery_code(code: str) -> bool:
    """Whether what was typed is as long as a recovery code, which nobody can guess."""
    return len(_plain(code[:CODE_CHARACTERS_MAX])) == RECOVERY_CODE_CHARACTERS


def wrong_code() -> Invalid:
    return Invalid(
        "This code is wrong, too old or was used before.",
        field="code",
        next_step="Wait for the app's next code. If it is wrong, too, set the phone's clock by the network.",
        code="wrong_code",
    )


async def _step(uow: UnitOfWork, row: Authenticator, code: str) -> int | None:
    seed = await opened(uow, row.seed_sealed, _place(row.account_id), Purpose.CODE_CHECKED)
    return totp.matching_step(seed, code, now=uow.wall_now, after=row.last_step)


async def _new_recovery_codes(uow: UnitOfWork, account_id: str) -> list[str]:
    await uow.execute("delete from recovery_code where account_id = :id", id=account_id)
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    for code in codes:
        uow.add(
            RecoveryCode(
                id=new_id("rcv"),
                account_id=account_id,
                code_hash=_recovery_hash(account_id, code),
                created_at=uow.wall_now,
            )
        )
    return codes


def _new_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(RECOVERY_CODE_CHARACTERS))
    return "-".join(letters[at : at + 4] for at in range(0, RECOVERY_CODE_CHARACTERS, 4))


def _recovery_hash(account_id: str, code: str) -> bytes:
    return vault().lookup_hash(f"recovery:{account_id}:{_plain(code)}")


def _plain(code: str) -> str:
    """As it was made, however it was typed."""
    return "".join(c for c in code.casefold() if c.isalnum()).translate(_LOOKS_LIKE)


def _place(account_id: str) -> Place:
    return Place(account_id, "authenticator", "seed_sealed", account_id)
