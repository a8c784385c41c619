"""Files that staff adds to the answer of a dispute: as many and as large as its provider takes, until it is answered.

They are files of the customer's organisation that only staff can read. What comes in is judged by
services/files/content.py, and counted with the dispute locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from models.disputes import Dispute, DisputeFile, DisputeState
from services.audit.reads import note_read
from services.core.errors import Conflict, Invalid, not_found
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.disputes import rules as dispute_rules
from services.files import service as files
from services.files.rules import MB, PURPOSES, Kind, Purpose
from services.files.service import Arrived, FileLink
from services.files.stores import Store
from services.payments import policies
from services.payments.events import DisputeEvidenceAdded, DisputeEvidenceRemoved
from services.payments.providers import registry
from services.payments.providers.capabilities import EvidenceTerms
from services.payments.providers.values import EvidenceFile

PURPOSE = "evidence"
PACK_BYTES = 300_000  # kept free for the PDF of all that is recorded
_READ, _WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
_FILES = """
select f.id, d.field, f.name, f.content_type, f.size_bytes, f.created_by,
  coalesce(nullif(a.name, ''), a.email, f.created_by) as added_by, f.created_at
from dispute_file d join stored_file f on f.id = d.file_id left join account a on a.id = f.created_by
where d.dispute_id = :id and f.deleted_at is null order by d.file_id
"""


class AnswersElsewhere(Conflict):
    """The provider takes no evidence from programs."""

    code = "dispute_answered_elsewhere"
    title = "This dispute is answered at the provider itself"


class AnswerUnderWay(Conflict):
    """An answer is being handed in, or what became of it is not known yet."""

    code = "dispute_answer_under_way"
    title = "An answer is on its way"


class EvidenceFull(Conflict):
    """The provider takes no more with one answer."""

    code = "dispute_evidence_full"
    title = "No more files go along with this answer"


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A file that goes along, or went. `field` is what it shows, in the provider's word; `added_by` a person."""

    id: str
    field: str
    name: str
    content_type: str
    size_bytes: int
    created_by: str
    added_by: str
    created_at: datetime


async def terms_of(uow: UnitOfWork, dispute: Dispute) -> EvidenceTerms:
    """What the provider takes. Raises AnswersElsewhere."""
    account = await policies.any_account(uow, dispute.provider_account_id)
    terms = registry.kind(account.provider).capabilities.evidence
    if terms is None:
        raise AnswersElsewhere(
            f"{account.name} takes no evidence from here.",
            next_step="Answer it on the provider's own pages.",
        )
    return terms


async def answerable(uow: UnitOfWork, dispute_id: str) -> tuple[Dispute, EvidenceTerms]:
    """A dispute that waits for an answer, locked, and what it takes.

    Raises Forbidden, NotFound, AnswersElsewhere, DisputeStateConflict when its time is over or it is answered, and
    AnswerUnderWay.
    """
    dispute = await policies.dispute_for(uow, dispute_id, _WRITE, lock=True)
    terms = await terms_of(uow, dispute)
    dispute_rules.require_answerable(DisputeState(dispute.state), due_at=dispute.due_at, now=uow.wall_now)
    if dispute.submitted_at is not None:
        raise dispute_rules.DisputeStateConflict("This dispute is answered.", state=dispute.state)
    require_none_under_way(dispute)
    return dispute, terms


def require_none_under_way(dispute: Dispute) -> None:
    """Raises AnswerUnderWay."""
    if dispute_rules.is_under_way(dispute):
        raise AnswerUnderWay(
            "An answer to this dispute is on its way: it is handed in until the provider takes or refuses it.",
            next_step="Read the dispute again in a few minutes.",
        )


def purpose_of(terms: EvidenceTerms) -> Purpose:
    """What one file may be."""
    kinds = frozenset(kind for kind in Kind if kind.value in terms.kinds)
    return replace(PURPOSES[PURPOSE], kinds=kinds, bytes_max=terms.bytes_max)


async def _room(uow: UnitOfWork, dispute: Dispute, terms: EvidenceTerms, *, field: str) -> int:
    """How many bytes may be added for `field` yet. Raises Invalid for what the provider has no word for, and
    EvidenceFull."""
    if field not in terms.fields:
        raise Invalid(
            "The provider does not ask for this.",
            field="about",
            next_step=f"Choose one of: {', '.join(terms.fields)}.",
        )
    there = await _rows(uow, dispute.id)
    if len(there) >= terms.files_max:
        raise EvidenceFull(f"There are {len(there)} files already.", next_step="Take one away first.")
    if terms.is_one_each and any(row.field == field for row in there):
        raise EvidenceFull(
            "There is a file for this already, and the provider takes one.",
            next_step="Take that one away first, or say what else this one shows.",
        )
    return terms.total_bytes_max - PACK_BYTES - sum(row.size_bytes for row in there)


async def attach(uow: UnitOfWork, dispute_id: str, arrived: Arrived, *, field: str) -> str:
    """Add a file that has arrived; returns its id, by which the door brings its content into the store.

    Raises what `answerable` raises, Invalid for what the provider has no word for, EvidenceFull for too many or
    too much altogether, and FilesFull.
    """
    dispute, terms = await answerable(uow, dispute_id)
    left = await _room(uow, dispute, terms, field=field)
    if arrived.size_bytes > left:
        raise EvidenceFull(
            f"All files together may have {(terms.total_bytes_max - PACK_BYTES) / MB:.1f} MB:"
            f" {max(0, left) / MB:.1f} MB are left.",
            next_step="Send a smaller one, or take another one away first.",
        )
    row = await files.announce(uow, arrived, purpose=PURPOSE, needs=(_WRITE,))
    await uow.session.flush()
    uow.add(
        DisputeFile(
            file_id=row.id, organization_id=dispute.organization_id, dispute_id=dispute.id, field=field
        )
    )
    uow.record(
        DisputeEvidenceAdded(
            aggregate_id=dispute.id,
            organization_id=dispute.organization_id,
            payment_id=dispute.payment_id,
            file_id=row.id,
            field=field,
        )
    )
    return row.id


async def remove(uow: UnitOfWork, dispute_id: str, file_id: str) -> None:
    """Take a file away again, before it is handed in. Raises what `answerable` raises, and NotFound."""
    dispute, _ = await answerable(uow, dispute_id)
    await _one(uow, dispute.id, file_id)
    await files.delete(uow, file_id)
    uow.record(
        DisputeEvidenceRemoved(
            aggregate_id=dispute.id,
            organization_id=dispute.organization_id,
            payment_id=dispute.payment_id,
            file_id=file_id,
        )
    )


async def link_to(uow: UnitOfWork, dispute_id: str, file_id: str) -> FileLink:
    """A link by which a browser saves one of them. Raises Forbidden and NotFound."""
    dispute = await policies.dispute_for(uow, dispute_id, _WRITE)
    await _one(uow, dispute.id, file_id)
    await note_read(uow, "evidence_file", organization_id=dispute.organization_id, row_id=file_id)
    return await files.link_to(uow, file_id)


async def listed(uow: UnitOfWork, dispute_id: str) -> list[EvidenceRow]:
    """Those that are there, the oldest first; never more than the provider takes. Raises Forbidden and NotFound."""
    dispute = await policies.dispute_for(uow, dispute_id, _READ)
    await note_read(uow, "evidence_files", organization_id=dispute.organization_id, row_id=dispute.id)
    return await _rows(uow, dispute.id)


async def get(uow: UnitOfWork, dispute_id: str, file_id: str) -> EvidenceRow:
    """Raises Forbidden and NotFound."""
    dispute = await policies.dispute_for(uow, dispute_id, _READ)
    return await _one(uow, dispute.id, file_id)


async def contents(store: Store, rows: Iterable[EvidenceRow]) -> tuple[EvidenceFile, ...]:
    """As they go along, outside of any transaction. Raises ContentMissing."""
    found = list[EvidenceFile]()
    for row in rows:
        content = b"".join([piece async for piece in store.read(row.id)])
        found.append(EvidenceFile(row.field, row.name, row.content_type, content, row.id))
    return tuple(found)


async def _one(uow: UnitOfWork, dispute_id: str, file_id: str) -> EvidenceRow:
    for row in await _rows(uow, dispute_id):
        if row.id == file_id:
            return row
    raise not_found("file", str(file_id))


async def _rows(uow: UnitOfWork, dispute_id: str) -> list[EvidenceRow]:
    """One whose content has not arrived is counted: it may come yet."""
    found = await uow.execute(_FILES, id=dispute_id)
    return [
        EvidenceRow(
            row.id,
            row.field,
            row.name,
            row.content_type,
            row.size_bytes,
            row.created_by,
            row.added_by,
            row.created_at,
        )
        for row in found
    ]
