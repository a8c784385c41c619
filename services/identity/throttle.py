"""Slowing down those who guess, without locking out those who own.

An attempt is counted before it is judged, so that a thousand guesses sent at once do not all pass before
the first is counted; success takes its count back. After some free failures each further one blocks its
subject for twice as long as the last, up to a bound. Attempts while blocked do not count: hammering at the
door cannot keep it shut for longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.crypto import vault
from services.core.errors import RateLimited
from services.core.work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Door:
    """How one door slows down one kind of subject. Times in seconds."""

    name: str
    free: int  # attempts before the first delay, at least 2
    delay_s: int
    delay_s_max: int
    forget_s: int  # after this long without an attempt all is forgotten
    clears: bool = False  # a success also forgets the failures before it


# A device that an account knows is counted by itself. Strangers are counted by account and network, so that who
# guesses from one network slows down that one; and by account, because one may guess from many. That count all
# who are new share with those who guess, so its delays are short.
SIGN_IN_DEVICE = Door("sign_in.device", free=5, delay_s=2, delay_s_max=900, forget_s=86_400, clears=True)
SIGN_IN_STRANGER = Door("sign_in.stranger", free=5, delay_s=2, delay_s_max=600, forget_s=86_400, clears=True)
SIGN_IN_ACCOUNT = Door("sign_in.account", free=20, delay_s=2, delay_s_max=30, forget_s=86_400, clears=True)
SIGN_IN_NETWORK = Door("sign_in.network", free=30, delay_s=2, delay_s_max=600, forget_s=3_600)
SIGN_UP_NETWORK = Door("sign_up.network", free=30, delay_s=5, delay_s_max=900, forget_s=3_600)
# By address and network: nobody else may keep an address from signing up.
SIGN_UP = Door("sign_up", free=8, delay_s=60, delay_s_max=900, forget_s=86_400)
RESEND = Door("resend", free=3, delay_s=60, delay_s_max=900, forget_s=86_400)
# By address, asked for by anybody: many networks together must not fill somebody's mailbox. Beyond it mail is left
# out and nothing is refused.
MAILS = Door("mails", free=8, delay_s=60, delay_s_max=900, forget_s=86_400)
# By address: many organisations together must not fill a mailbox either. Apart from MAILS, so that inviting somebody
# cannot keep them from signing up. A job tries for ten minutes (core/jobs.py), so no delay is longer.
INVITATION_MAILS = Door("mails.invitation", free=8, delay_s=60, delay_s_max=600, forget_s=86_400)
# Apart from MAILS, too: signing up with somebody's address cannot keep them from a new password.
RESET_MAILS = Door("mails.reset", free=8, delay_s=60, delay_s_max=900, forget_s=86_400)
CONFIRM_LINK = Door("confirm.link", free=5, delay_s=2, delay_s_max=300, forget_s=86_400)
# Codes of an authenticator are few enough to be guessed by whoever has the password, so the delays are long;
# a known device and a recovery code, which nobody guesses, pass by the count that all strangers share.
CODE_DEVICE = Door("code.device", free=5, delay_s=2, delay_s_max=900, forget_s=86_400, clears=True)
CODE_STRANGER = Door("code.stranger", free=5, delay_s=2, delay_s_max=900, forget_s=86_400, clears=True)
CODE_ACCOUNT = Door("code.account", free=10, delay_s=4, delay_s_max=900, forget_s=86_400)
RESET = Door("reset", free=3, delay_s=60, delay_s_max=900, forget_s=86_400)
# Nobody guesses a link to pay by; this keeps whoever tries from keeping the database busy.
PAYMENT_LINK_NETWORK = Door("payment_link.network", free=20, delay_s=2, delay_s_max=300, forget_s=3_600)
DOORS = (
    PAYMENT_LINK_NETWORK,
    SIGN_IN_DEVICE,
    SIGN_IN_STRANGER,
    SIGN_IN_ACCOUNT,
    SIGN_IN_NETWORK,
    SIGN_UP_NETWORK,
    SIGN_UP,
    RESEND,
    MAILS,
    INVITATION_MAILS,
    RESET_MAILS,
    CONFIRM_LINK,
    CODE_DEVICE,
    CODE_STRANGER,
    CODE_ACCOUNT,
    RESET,
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose attempts are counted at which door; stored as a keyed hash only."""

    door: Door
    name: str

    def key(self) -> str:
        return vault().lookup_hash(f"throttle:{self.door.name}:{self.name}").hex()


_COUNT = """
insert into throttle as t (subject, failures, last_failed_at, blocked_until)
values (:subject, 1, :now, null)
on conflict (subject) do update set
  failures = case when t.last_failed_at < :forget_before then 1 else t.failures + 1 end,
  last_failed_at = :now,
  blocked_until = case when t.last_failed_at >= :forget_before and t.failures + 1 >= :free
    then cast(:now as timestamptz)
      + make_interval(secs => least(:delay_s * power(2, least(t.failures + 1 - :free, 30)), :delay_s_max)) end
where t.blocked_until is null or t.blocked_until <= :now
returning failures
"""


async def count(uow: UnitOfWork, subjects: Sequence[Subject]) -> None:
    """Count one attempt of each subject. Raises RateLimited if one is blocked; then none is counted."""
    for subject in subjects:
        if not await admits(uow, subject):
            await _refuse(uow, subject)


async def require_open(uow: UnitOfWork, subjects: Sequence[Subject]) -> None:
    """Count nothing. Raises RateLimited if a subject is blocked."""
    for subject in subjects:
        found = await uow.execute(
            "select from throttle where subject = :key and blocked_until > :now",
            key=subject.key(),
            now=uow.wall_now,
        )
        if found.first() is not None:
            await _refuse(uow, subject)


async def admits(uow: UnitOfWork, subject: Subject) -> bool:
    """Count one attempt, unless the subject is blocked."""
    door = subject.door
    counted = await uow.execute(
        _COUNT,
        subject=subject.key(),
        now=uow.wall_now,
        forget_before=uow.wall_now - timedelta(seconds=door.forget_s),
        free=door.free,
        delay_s=door.delay_s,
        delay_s_max=door.delay_s_max,
    )
    return counted.one_or_none() is not None


async def _refuse(uow: UnitOfWork, subject: Subject) -> None:
    found = await uow.execute("select blocked_until from throttle where subject = :key", key=subject.key())
    until: datetime | None = found.scalar_one_or_none()
    wait_s = max(1, round((until - uow.wall_now).total_seconds()) if until else 1)
    raise RateLimited(
        f"Too many attempts. The next one is possible in {_spoken(wait_s)}.",
        retry_after_s=wait_s,
        next_step="Wait, then try again.",
        code="too_many_attempts",
    )


async def forgive(uow: UnitOfWork, subjects: Sequence[Subject]) -> None:
    """Take back the attempt that succeeded, at doors that clear with all before it."""
    for subject in subjects:
        statement = (
            "delete from throttle where subject = :key"
            if subject.door.clears
            else "update throttle set failures = greatest(failures - 1, 0), blocked_until = null"
            " where subject = :key"
        )
        await uow.execute(statement, key=subject.key())


def _spoken(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} second{'s' if seconds != 1 else ''}"
    return f"{-(-seconds // 60)} minutes"
