"""Publishing the terms that customers act under, and writing down who has accepted them; see decision 0058."""

from __future__ import annotations

import hashlib

from models.terms import Occasion, TermsVersion
from services.core.errors import Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.terms.events import TermsAccepted, TermsPublished

WRITE = Capability.STAFF_INVOICES_WRITE
TEXT_CHARACTERS_MAX = 100_000
_LAST_NUMBER = "select coalesce(max(number), 0) from terms_version"
# Nobody but a member who is signed in accepts anything: no key, no staff of the house and no schedule.
_ACCEPT = """
insert into terms_acceptance (id, organization_id, terms_id, account_id, occasion, address, user_agent, accepted_at)
select :id, m.organization_id, t.id, m.account_id, :occasion, :address, s.user_agent, :now
from (select id from terms_version order by number desc limit 1) t
join membership m on m.organization_id = :organization_id and m.account_id = :account_id
join session s on s.id = :session_id
on conflict (organization_id, account_id, terms_id) do nothing
returning (select number from terms_version v where v.id = terms_id)
"""


async def publish(uow: UnitOfWork, text: str) -> TermsVersion:
    """The next version, which counts from now; the text stays as it is said. Raises Forbidden and Invalid."""
    uow.actor.require(WRITE)
    text = "\n".join(line.rstrip() for line in text.strip().splitlines())
    if not 1 <= len(text) <= TEXT_CHARACTERS_MAX or "\0" in text:
        raise Invalid(f"Terms have 1 to {TEXT_CHARACTERS_MAX:,} characters.", field="text")
    await uow.execute("select pg_advisory_xact_lock(hashtextextended('terms_version', 71))")
    row = TermsVersion(
        id=new_id("trms"),
        number=int((await uow.execute(_LAST_NUMBER)).scalar_one()) + 1,
        text=text,
        sha256=hashlib.sha256(text.encode()).digest(),
        published_by=uow.actor.id,
        published_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(TermsPublished(aggregate_id=row.id, organization_id=None, number=row.number))
    return row


async def accept(uow: UnitOfWork, occasion: Occasion, *, organization_id: str | None = None) -> None:
    """Write down that who acts has accepted the terms that count, by what they do. The first time is kept; where there
    are no terms, or no person is there, nothing is."""
    who, owner = uow.actor, organization_id or uow.organization_id
    if who.account_id is None or who.session_id is None:
        return
    acceptance_id = new_id("tacc")
    made = await uow.execute(
        _ACCEPT,
        id=acceptance_id,
        organization_id=owner,
        account_id=who.account_id,
        session_id=who.session_id,
        occasion=occasion.value,
        address=who.address,
        now=uow.wall_now,
    )
    number = made.scalar_one_or_none()
    if number is not None:
        uow.record(
            TermsAccepted(
                aggregate_id=acceptance_id, organization_id=owner, number=number, occasion=occasion.value
            )
        )
