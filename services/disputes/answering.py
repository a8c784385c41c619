"""Handing answers to disputes in: once, whatever is lost on the way.

An answer is written down whole before anybody is asked: its texts, which files go along, and what the PDF is made of.
Where the provider is away, its answer is lost or the process ends, it stays under way. The worker reads the dispute
again then; where the provider has no answer it hands in the same one by the same key, until it is taken or refused, or
the time is over. Nobody can hand in another meanwhile, nor change what goes along.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

from models.disputes import Dispute
from models.payments import ProviderAccount
from services.core import clock as clocks
from services.core.actor import Actor, system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import StaleVersion, Unavailable
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.disputes import evidence as evidence_of
from services.disputes import evidence_files, taking_back
from services.disputes import rules as dispute_rules
from services.disputes.disputing import Disputing
from services.documents.press import Press
from services.files.content import checked as check_file
from services.files.rules import MB
from services.files.stores import Store
from services.payments import checking, policies
from services.payments.cashier import Cashier
from services.payments.providers import values
from services.payments.providers.base import RefusedByProvider, UnknownOutcome
from services.payments.providers.capabilities import EvidenceTerms

log = get_logger(__name__)

LEFT_ALONE_S = 300  # after it was begun: longer than handing in takes
_DUE = f"""
select id, organization_id, opened_at as at from dispute
where state in ('warning_needs_answer', 'needs_answer') and submitted_at is null
  and cast(evidence->>'at' as timestamptz) <= cast(:now as timestamptz) - interval '{LEFT_ALONE_S} seconds'
  and (opened_at, id) > (:after_at, :after_id)
order by opened_at, id limit :most
"""


class Answering:
    """Asks through the accounts that a cashier can open; `press` sets the PDF anew and `store` has the files, where an
    answer is handed in again."""

    def __init__(
        self,
        cashier: Cashier,
        press: Press,
        store: Store,
        on: Database | None = None,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._cashier = cashier
        self._press = press
        self._store = store
        self._disputing = Disputing(cashier, on, clock)
        self._across = partial(crossing, Reason.PAYMENTS, on=on, clock=clock)
        self._staff_work = partial(crossing, Reason.STAFF, on=on, clock=clock)
        self._on = on
        self._clock = clock or clocks.SystemClock()

    async def answer(
        self,
        dispute_id: str,
        organization_id: str,
        evidence: values.Evidence,
        *,
        by: Actor,
        told: bytes = b"",
    ) -> Dispute:
        """Hand in what we have to say, once and for ever, with all files that staff added; `told` is what the PDF among
        them was made of. Where the provider did not say what became of it, it is under way afterwards.

        Raises Forbidden, NotFound, StaleVersion where other files were added meanwhile, what evidence_files.answerable
        raises, FileRefused for a file that the provider does not take, whatever it is called, and RefusedByProvider.
        """
        evidence = replace(evidence, texts=_in_order(evidence.texts))
        async with self._staff(by, organization_id) as uow:
            dispute, account = await _written_down(uow, dispute_id, evidence, told)
        try:
            await self._hand_in(dispute, account, evidence)
        except RefusedByProvider:
            async with self._work(organization_id) as uow:
                if (row := await _held(uow, dispute)) is not None:
                    taking_back.forget_answer(uow, row)
            raise
        except Unavailable as error:
            log.warning("dispute_answer_waits", dispute_id=dispute_id, error=error.message)
        async with self._work(organization_id) as uow:
            return await policies.dispute_for(uow, dispute_id, Capability.PAYMENTS_READ)

    async def check_due(self) -> int:
        """See what became of all answers that are under way; returns how many. Safe to run twice and from many workers.

        One that cannot be looked at now is looked at later, and holds up no other.
        """
        checked = 0
        async for row in checking.due(self._across, _DUE):
            try:
                await self._check(row.id)
            except Exception as error:
                if isinstance(error, Unavailable):
                    log.warning("dispute_answer_waits", dispute_id=row.id, error=error.message)
                else:
                    log.error("dispute_answer_check_failed", dispute_id=row.id, exc_info=error)
                async with self._work(row.organization_id) as uow:
                    held = await policies.dispute_for(uow, row.id, Capability.PAYMENTS_WRITE, lock=True)
                    await taking_back.warn_of_answer(uow, held)
            checked += 1
        return checked

    async def _check(self, dispute_id: str) -> None:
        """Raises what asking raises, which leaves it as it is."""
        async with self._across() as uow:
            dispute = await policies.dispute_for(uow, dispute_id, Capability.PAYMENTS_READ)
            account = await policies.any_account(uow, dispute.provider_account_id)
        if not dispute_rules.is_under_way(dispute):
            return
        picture = await self._read_again(dispute, account)
        if picture.submissions or not _asks(picture):
            return
        now = self._clock.now()
        if picture.due is None or picture.due <= now:
            await self._failed(dispute, "The time to answer is over.")
            return
        evidence = await self._again(dispute, account)
        if evidence is None:
            await self._failed(dispute, "What was to be handed in cannot be put together again.")
            return
        try:
            await self._hand_in(dispute, account, evidence)
        except RefusedByProvider as error:
            # It refuses an answer that came twice, too.
            picture = await self._read_again(dispute, account)
            if not picture.submissions:
                await self._failed(dispute, f"{account.name} refuses it: {error.message}")
        except UnknownOutcome:
            await self._take_another_key(dispute)
            raise

    async def _take_another_key(self, dispute: Dispute) -> None:
        """For the next time. What failed inside of the provider it answers alike for as long as it knows the key, which
        may be longer than there is to answer. By then the dispute is read: it is handed in only where nothing is there,
        and a second answer is refused."""
        async with self._work(dispute.organization_id) as uow:
            if (row := await _held(uow, dispute)) is not None and row.evidence is not None:
                tries = int(row.evidence.get("tries", 0)) + 1
                row.evidence = {**row.evidence, "tries": tries}
                uow.add(row)

    async def _read_again(self, dispute: Dispute, account: ProviderAccount) -> values.Dispute:
        provider = await self._cashier.provider_of(account)
        picture = await provider.read_dispute(dispute.provider_ref)
        await self._disputing.keep(account, picture)
        return picture

    async def _hand_in(self, dispute: Dispute, account: ProviderAccount, evidence: values.Evidence) -> None:
        """Raises what asking raises."""
        provider = await self._cashier.provider_of(account)
        said = dispute.evidence or {}
        key = ".".join(filter(None, (said["key"], str(said.get("tries", "")))))
        await self._disputing.keep(
            account, await provider.answer_dispute(dispute.provider_ref, evidence, key=key)
        )

    async def _again(self, dispute: Dispute, account: ProviderAccount) -> values.Evidence | None:
        """What was to be handed in, to the byte; None where that cannot be had. Raises PressUnavailable and
        ContentMissing."""
        said = dispute.evidence or {}
        if "key" not in said:
            return None
        files: list[values.EvidenceFile] = []
        if said["told"]:
            pdf = evidence_of.packed(await self._press.tables(said["told"].encode()), account.provider)
            files += [] if pdf is None else [pdf]
        async with self._work(dispute.organization_id) as uow:
            rows = await evidence_files.listed(uow, dispute.id)
        files += await evidence_files.contents(self._store, rows)
        evidence = values.Evidence(_in_order(said["texts"]), tuple(files))
        return evidence if _hashes(evidence) == said["files"] else None

    async def _failed(self, dispute: Dispute, why: str) -> None:
        async with self._work(dispute.organization_id) as uow:
            if (row := await _held(uow, dispute)) is not None:
                await taking_back.fail_answer(uow, row, why)

    def _work(self, organization_id: str) -> AbstractAsyncContextManager[UnitOfWork]:
        return unit_of_work(system(organization_id), on=self._on, clock=self._clock)

    def _staff(self, by: Actor, organization_id: str) -> AbstractAsyncContextManager[UnitOfWork]:
        """Raises Forbidden before it is opened."""
        by.require(Capability.STAFF_PAYMENTS_WRITE)
        return self._staff_work(actor=replace(by, organization_id=organization_id), target=organization_id)


async def _written_down(
    uow: UnitOfWork, dispute_id: str, evidence: values.Evidence, told: bytes
) -> tuple[Dispute, ProviderAccount]:
    """The dispute with what is to be handed in, and through which account."""
    dispute, terms = await evidence_files.answerable(uow, dispute_id)
    _check_files(evidence.files, terms)
    there = {row.id for row in await evidence_files.listed(uow, dispute_id)}
    if there != {one.file_id for one in evidence.files if one.file_id}:
        raise StaleVersion("Somebody changed the files of this answer.", next_step="Look at it again.")
    dispute.version += 1
    dispute.evidence = {
        "key": f"{dispute_id}.answer.{dispute.version}",
        "texts": dict(evidence.texts),
        "files": _hashes(evidence),
        "told": told.decode(),
        "at": uow.wall_now.isoformat(),
    }
    dispute.submitted_by = uow.actor.id
    uow.add(dispute)
    return dispute, await policies.any_account(uow, dispute.provider_account_id)


async def _held(uow: UnitOfWork, dispute: Dispute) -> Dispute | None:
    """The dispute, locked, while the answer that was read is still under way."""
    row = await policies.dispute_for(uow, dispute.id, Capability.PAYMENTS_WRITE, lock=True)
    is_same = (row.evidence or {}).get("key") == (dispute.evidence or {}).get("key")
    return row if is_same and dispute_rules.is_under_way(row) else None


def _in_order(texts: Mapping[str, str]) -> dict[str, str]:
    """By name: the database keeps no order, and a key stands for the same request to the byte."""
    return dict(sorted(texts.items()))


def _asks(picture: values.Dispute) -> bool:
    return picture.state.value in dispute_rules.ASKS


def _hashes(evidence: values.Evidence) -> dict[str, Any]:
    return {
        ".".join(filter(None, (one.field, one.file_id))): sha256(one.content).hexdigest()
        for one in evidence.files
    }


def _check_files(files: tuple[values.EvidenceFile, ...], terms: EvidenceTerms) -> None:
    """Raises FileRefused, and EvidenceFull for more than the provider takes together."""
    purpose = evidence_files.purpose_of(terms)
    for one in files:
        check_file(one.content, one.name, purpose)
    if sum(len(one.content) for one in files) > terms.total_bytes_max:
        raise evidence_files.EvidenceFull(
            f"With what is recorded here the files are more than {terms.total_bytes_max / MB:.1f} MB together.",
            next_step="Take one away first.",
        )
