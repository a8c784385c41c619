"""Requests that may be repeated: the answer is kept with the effect, and given again.

The answer may hold a secret shown once, so it is stored sealed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from services.core.crypto import CannotOpen, Place, vault
from services.core.errors import Conflict
from services.core.openings import Purpose, opened
from services.core.work import UnitOfWork

KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    replayed: bool = False


_COMES = Answer(102, b"")  # in the place of an answer that is on its way


async def once(
    uow: UnitOfWork,
    *,
    owner: str,
    key: str,
    fingerprint: bytes,
    effect: Callable[[], Awaitable[Answer]],
) -> Answer:
    """Run `effect` unless this owner's `key` has been answered before; then give that answer again.

    Answer and effect are committed together, so a crash leaves both or neither; an effect that raises
    leaves nothing and may be tried again. Two requests with one key at once run one after the other.
    `owner` is the organisation, or the account for what happens outside of any.
    Raises Conflict `idempotency_key_reused` when the key came with another request before, or from somebody
    else: an answer may hold what only the one who asked for it may see.
    """
    given = await _given_before(uow, owner, key, fingerprint)
    if given is not None:
        return given
    answer = await effect()
    await _keep(uow, owner, key, fingerprint, answer)
    return answer


async def begin(uow: UnitOfWork, *, owner: str, key: str, fingerprint: bytes) -> Answer | None:
    """For an act in several transactions: bind the key to the request before it, or give the answer of before.

    None says to go on, and `end` keeps the answer. Who died between them, or was refused, may send the same again,
    and it goes on again: what is done must tell by itself what is done already. Raises as `once`.
    """
    given = await _given_before(uow, owner, key, fingerprint)
    if given is None:
        await _keep(uow, owner, key, fingerprint, _COMES)
    return None if given == _COMES else given


async def end(uow: UnitOfWork, answer: Answer, *, owner: str, key: str, fingerprint: bytes) -> None:
    """Keep the answer to what `begin` began."""
    await _keep(uow, owner, key, fingerprint, answer)


async def _given_before(uow: UnitOfWork, owner: str, key: str, fingerprint: bytes) -> Answer | None:
    named = {"owner": owner, "key": key}
    await uow.execute("select pg_advisory_xact_lock(hashtextextended(:owner || ' ' || :key, 43))", named)
    stored = (
        await uow.execute(
            "select fingerprint, status, body from idempotency_record"
            " where organization_id = :owner and key = :key and expires_at > :now",
            {**named, "now": uow.wall_now},
        )
    ).one_or_none()
    if stored is None:
        return None
    if not hmac.compare_digest(stored.fingerprint, _by(uow, fingerprint)):
        raise _reused(key)
    if stored.status == _COMES.status:
        return _COMES
    try:
        body = await opened(uow, stored.body, _place(owner, key), Purpose.ANSWERED_AGAIN)
    except CannotOpen as error:
        raise Conflict(
            "This request was answered before, and the answer cannot be read again.",
            next_step="Look up what it made, or use a new Idempotency-Key.",
            code="idempotency_answer_lost",
        ) from error
    return Answer(stored.status, body, replayed=True)


async def _keep(uow: UnitOfWork, owner: str, key: str, fingerprint: bytes, answer: Answer) -> None:
    await uow.execute(
        "insert into idempotency_record"
        " (organization_id, key, fingerprint, status, body, created_at, expires_at)"
        " values (:owner, :key, :fingerprint, :status, :body, :now, :expires_at)"
        " on conflict (organization_id, key) do update set fingerprint = excluded.fingerprint,"
        " status = excluded.status, body = excluded.body, created_at = excluded.created_at,"
        " expires_at = excluded.expires_at",
        {
            "owner": owner,
            "key": key,
            "fingerprint": _by(uow, fingerprint),
            "status": answer.status,
            "body": await vault().seal(answer.body, _place(owner, key)),
            "now": uow.wall_now,
            "expires_at": uow.wall_now + KEPT_FOR,
        },
    )


def _by(uow: UnitOfWork, fingerprint: bytes) -> bytes:
    """The request as it is of whoever sends it."""
    return hashlib.sha256(f"{uow.actor.id}\n".encode() + fingerprint).digest()


def _place(owner: str, key: str) -> Place:
    return Place(owner, "idempotency_record", "body", key)


def _reused(key: str) -> Conflict:
    return Conflict(
        f"The Idempotency-Key {key!r} came with another request before.",
        next_step="Use a new key for a new request.",
        code="idempotency_key_reused",
    )
