"""A step that mails calls for a job, and so does what may change whom a case restricts. Importing this module also
declares the jobs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from services.core import jobs
from services.core.database import database
from services.core.jobs import job
from services.core.relay import Delivered, Subscriber
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.dunning import crediting, mails, running
from services.dunning.mails import ReminderDue
from services.notify.jobs import sender_of

DUNNING_MAIL, DUNNING_LOOK = "dunning.mail", "dunning.look"
_CHANGES = (
    "subscription.ended", "contest.opened", "contest.ended", "dispute.changed", "dunning.held", "dunning.released",
    "dunning.ended", "dunning.lifted",
)  # fmt: skip


@job(DUNNING_MAIL)
async def dunning_mail(payload: dict[str, Any]) -> None:
    await mails.send(ReminderDue(**payload), sender=sender_of(settings()))


async def _mail(_: UnitOfWork, event: Delivered) -> None:
    """At least once per event; the job writes one mail to each however often it runs."""
    due = ReminderDue(event.aggregate_id, event.organization_id or "", int(event.payload["position"]))
    await jobs.enqueue(database(), DUNNING_MAIL, asdict(due), dedupe_key=f"{DUNNING_MAIL}:{event.id}")


@job(DUNNING_LOOK)
async def dunning_look(payload: dict[str, Any]) -> None:
    await running.look_at(payload["organization_id"])


async def _look(_: UnitOfWork, event: Delivered) -> None:
    if event.organization_id is not None:
        about = {"organization_id": event.organization_id}
        await jobs.enqueue(database(), DUNNING_LOOK, about, dedupe_key=f"{DUNNING_LOOK}:{event.id}")


async def _paid(uow: UnitOfWork, event: Delivered) -> None:
    """Of whoever had calls refused a paid invoice may have been for that time."""
    if event.organization_id is not None and await crediting.was_blocked(uow, event.organization_id):
        await _look(uow, event)


SUBSCRIBERS = [
    Subscriber("dunning mails", {"dunning.mail_due": _mail}),
    Subscriber("dunning looks", {**dict.fromkeys(_CHANGES, _look), "invoice.paid": _paid}),
]
