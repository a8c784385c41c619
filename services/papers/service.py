"""Papers of documents: made in the background, once; the first that is kept stays, whoever makes another.

A paper is taken by moving on when it is due, so that a worker that dies leaves it to the next. Nothing here runs in
the transaction that finalises a document.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from models.papers import Form, Paper, PaperState
from services.billing import queries as billing
from services.core import metrics, tracing
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Busy, Conflict, MatrixError, Unavailable
from services.core.events import last_trace
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork
from services.documents import electronic, render
from services.documents.content import LINES_MAX, Content
from services.documents.html import html
from services.documents.press import SET_S_MAX, Press
from services.documents.style import Style
from services.files.stores import FilePlaces, places
from services.papers import keeping, policies, templates
from services.papers.events import PaperMade, PaperParked, PaperRetried
from services.papers.keeping import KeptBytes
from services.papers.saying import Noted, invoice_says, note_says

log = get_logger(__name__)

EVERY_S = 1.0  # how often a worker looks for what is due
PAPERS_PER_TURN_MAX = 500
LEASE = timedelta(seconds=2 * SET_S_MAX + 60)  # a maker that takes longer has died
ATTEMPTS_MAX = 8
BACKOFF = timedelta(seconds=5)  # doubled each time: about ten minutes in all
ERROR_CHARACTERS_MAX = 500

_TAKE = """
update paper set attempts = attempts + 1, due_at = :until where document_id = (
  select document_id from paper where state = 'waiting' and due_at <= :now
  order by due_at, document_id limit 1 for update skip locked)
returning *
"""
_KEEP = """
update paper set state = 'made', files = cast(:files as jsonb), missing = cast(:missing as jsonb), edition = :edition,
  template_version_id = :template, error = '', made_at = :now
where document_id = :id and state <> 'made' returning document_id
"""
_FAIL = """
update paper set state = :state, error = :error, due_at = :due
where document_id = :id and state = 'waiting' and attempts = :attempts returning document_id
"""


class PaperIsThere(Conflict):
    """What was asked for would make something again that is made once."""

    code = "paper_is_there"
    title = "The files of this document are made already"


@dataclass(frozen=True, slots=True)
class _Said:
    content: Content
    style: Style
    template_id: str | None


@dataclass(frozen=True, slots=True)
class _Taken:
    """`caused_by` is the trace of whoever had the document issued, or its paper tried again."""

    paper: Paper
    caused_by: str


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes papers on one machine. `where` and `clock` are the product's own if left out."""

    press: Press
    where: FilePlaces | None = None
    clock: Clock | None = None

    async def make_due(self, on: Database | None = None) -> int:
        """Make what is due, one after the other. Returns how many were tried. Safe to run twice, and to be cut off."""
        tried = 0
        while tried < PAPERS_PER_TURN_MAX and (taken := await self._take(on)) is not None:
            paper = taken.paper
            with tracing.act("paper", continues=taken.caused_by, document_id=paper.document_id) as reference:
                await self._try(on, paper, reference)
            tried += 1
        return tried

    async def _take(self, on: Database | None) -> _Taken | None:
        async with crossing(Reason.PAPERS, on=on, clock=self.clock) as uow:
            taken = await uow.execute(_TAKE, now=uow.wall_now, until=uow.wall_now + LEASE)
            row = taken.mappings().one_or_none()
            if row is None:
                return None
            paper = Paper(**row)
            return _Taken(paper, await last_trace(await uow.connection(), paper.document_id))

    async def _try(self, on: Database | None, paper: Paper, reference: str) -> None:
        outcome = "done"
        try:
            if paper.attempts > ATTEMPTS_MAX:
                raise Conflict(
                    f"It was begun {paper.attempts - 1} times and never ended.",
                    next_step="Look into the log of the worker.",
                )
            async with crossing(Reason.PAPERS, on=on, clock=self.clock) as uow:
                said = await _says(uow, paper)
            await self._make(on, paper, said)
        except Exception as error:
            outcome = "failed"
            log.error("paper_failed", document_id=paper.document_id, exc_info=error)
            async with crossing(Reason.PAPERS, on=on, clock=self.clock) as uow:
                await _fail(uow, paper, error, reference)
        finally:
            metrics.JOBS.labels("paper", outcome).inc()

    async def _make(self, on: Database | None, paper: Paper, said: _Said) -> None:
        made = await self.press.pdf(said.content, said.style)
        forms = {Form.PDF: made.pdf} | await asyncio.to_thread(_beside_the_pdf, said)
        where = self.where or places(settings(), self.clock)
        kept = {form: await keeping.keep(where, content) for form, content in forms.items()}
        async with crossing(Reason.PAPERS, on=on, clock=self.clock) as uow:
            is_first = await _keep(uow, paper, kept, said, made.missing)
            there = {} if is_first else files_of(await policies.paper_of(uow, paper.document_id))
        # Somebody was quicker. What is in no paper is removed, unless the bytes are the same.
        for form, one in kept.items():
            if not is_first and there.get(form) != one:
                await where.store.remove(one.file_id)


def _beside_the_pdf(said: _Said) -> dict[Form, bytes]:
    found = {Form.HTML: html(said.content, said.style).encode()}
    if not electronic.missing(said.content):
        found[Form.UBL] = render.electronic_invoice(said.content)
    return found


def files_of(paper: Paper | None) -> dict[Form, KeptBytes]:
    """What is kept of it; empty until it is made."""
    files: dict[str, Any] = paper.files or {} if paper is not None else {}
    return {Form(form): KeptBytes(**kept) for form, kept in files.items()}


async def _says(uow: UnitOfWork, paper: Paper) -> _Said:
    """All from the database in one reading, under the template that is in force now."""
    if paper.kind == "invoice":
        invoice = await billing.invoice(uow, paper.document_id, staff=True)
        look = await templates.in_force(uow, invoice.brand_id)
        lines = await billing.lines(uow, invoice, limit=LINES_MAX)
        content = invoice_says(invoice, lines, look.design, due_minor=paper.due_minor or 0)
    else:
        found = await billing.note_document(uow, paper.document_id)
        look = await templates.in_force(uow, found.invoice.brand_id)
        content = note_says(found.invoice, found.lines, Noted(found.note, found.taken), look.design)
    return _Said(content, look.design.style(look.logo), look.template_id)


async def _keep(
    uow: UnitOfWork, paper: Paper, kept: dict[Form, KeptBytes], said: _Said, missing: tuple[str, ...]
) -> bool:
    """Whether it is this making that stays."""
    written = await uow.execute(
        _KEEP,
        id=paper.document_id,
        files=orjson.dumps({form.value: one.to_json() for form, one in kept.items()}).decode(),
        missing=orjson.dumps(missing).decode(),
        edition=render.edition(),
        template=said.template_id,
        now=uow.wall_now,
    )
    if written.one_or_none() is None:
        return False
    uow.record(
        PaperMade(
            aggregate_id=paper.document_id,
            organization_id=paper.organization_id,
            number=paper.number,
            sha256=kept[Form.PDF].sha256,
        )
    )
    return True


async def _fail(uow: UnitOfWork, paper: Paper, error: Exception, reference: str) -> None:
    """Write down why, and whether it is tried again by itself."""
    again, said = True, f"It failed for a reason we did not foresee (reference {reference})."
    if isinstance(error, MatrixError):
        again, said = isinstance(error, Unavailable | Busy), f"{error.message} {error.next_step}".strip()
    is_parked = not again or paper.attempts >= ATTEMPTS_MAX
    written = await uow.execute(
        _FAIL,
        id=paper.document_id,
        state=(PaperState.PARKED if is_parked else PaperState.WAITING).value,
        error=said[:ERROR_CHARACTERS_MAX],
        due=uow.wall_now + BACKOFF * 2 ** (paper.attempts - 1),
        attempts=paper.attempts,
    )
    if is_parked and written.one_or_none() is not None:
        uow.record(
            PaperParked(
                aggregate_id=paper.document_id,
                organization_id=paper.organization_id,
                number=paper.number,
                error=said[:ERROR_CHARACTERS_MAX],
            )
        )


async def retry(uow: UnitOfWork, document_id: str) -> Paper:
    """Have a document's files tried again at once. For staff across tenants.

    Raises Forbidden, NotFound, and PaperIsThere for what is made.
    """
    paper = await policies.paper_for(uow, document_id, Capability.STAFF_INVOICES_WRITE)
    if paper.state == PaperState.MADE:
        raise PaperIsThere(
            f"The files of {paper.number} are made.",
            next_step="They stay as they are: issue a credit note for what is wrong.",
        )
    paper.state, paper.attempts, paper.due_at = PaperState.WAITING.value, 0, uow.wall_now
    uow.record(
        PaperRetried(
            aggregate_id=paper.document_id, organization_id=paper.organization_id, number=paper.number
        )
    )
    return paper
