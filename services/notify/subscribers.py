"""Which events call for a mail. Importing this module also declares the jobs that it enqueues."""

from __future__ import annotations

from dataclasses import asdict

from services.core import jobs
from services.core.database import database
from services.core.relay import Delivered, Subscriber
from services.core.work import UnitOfWork
from services.notify import account_texts
from services.notify.jobs import ACCOUNT_MAIL, NOTICE_MAIL
from services.notify.service import Cause
from services.notify.telling import tell
from services.notify.topics import TELLINGS


async def _mail_to_account(_: UnitOfWork, event: Delivered) -> None:
    """At least once per event; the job writes one mail however often it runs."""
    cause = Cause(event.id, event.aggregate_id, event.payload.get("token_id", ""))
    await jobs.enqueue(database(), ACCOUNT_MAIL, asdict(cause), dedupe_key=f"{ACCOUNT_MAIL}:{event.id}")


async def _mail_to_invited(_: UnitOfWork, event: Delivered) -> None:
    cause = Cause(
        event.id, "", "", invitation_id=event.aggregate_id, issue=int(event.payload.get("issue", 0))
    )
    await jobs.enqueue(database(), ACCOUNT_MAIL, asdict(cause), dedupe_key=f"{ACCOUNT_MAIL}:{event.id}")


async def _tell_owner(_: UnitOfWork, event: Delivered) -> None:
    """Of what happened to an account: `aggregate_id` is its id."""
    cause = Cause(event.id, event.aggregate_id, event.payload.get("token_id", ""), event_type=event.type)
    await jobs.enqueue(database(), ACCOUNT_MAIL, asdict(cause), dedupe_key=f"{ACCOUNT_MAIL}:{event.id}")


async def _tell_of_new_device(_: UnitOfWork, event: Delivered) -> None:
    if not event.payload.get("new_device"):
        return
    cause = Cause(
        event.id, event.payload["account_id"], "", event_type=event.type, session_id=event.aggregate_id
    )
    await jobs.enqueue(database(), ACCOUNT_MAIL, asdict(cause), dedupe_key=f"{ACCOUNT_MAIL}:{event.id}")


MAIL = Subscriber(
    "mail",
    {
        "account.signed_up": _mail_to_account,
        "account.confirmation_requested": _mail_to_account,
        "account.sign_up_repeated": _mail_to_account,
        "account.password_reset_requested": _tell_owner,
        **dict.fromkeys(sorted(account_texts.NOTICES), _tell_owner),
        "session.started": _tell_of_new_device,
        "invitation.created": _mail_to_invited,
        "invitation.resent": _mail_to_invited,
    },
)


async def _tell(uow: UnitOfWork, event: Delivered) -> None:
    """Rows now, mails by jobs; both once per event, person and topic, however often this runs."""
    for wanted in await tell(uow, event, database()):
        key = f"{NOTICE_MAIL}:{wanted.event_id}:{wanted.account_id}:{wanted.topic}"
        await jobs.enqueue(database(), NOTICE_MAIL, asdict(wanted), dedupe_key=key)


NOTICES = Subscriber("notices", dict.fromkeys(TELLINGS, _tell))

SUBSCRIBERS = [MAIL, NOTICES]
