"""Files that staff adds to the answer of a dispute: refused in words, handed in on the true wire, once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from models.types import OrganizationKind
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid, MatrixError, NotFound, StaleVersion
from services.core.permissions import ROLE_CAPABILITIES, Role
from services.core.work import unit_of_work
from services.disputes import evidence_files
from services.disputes.evidence_files import EvidenceFull
from services.disputes.rules import DisputeStateConflict
from services.files import queries as file_queries
from services.files.rules import FileRefused, FileTooLarge
from tests.fakes.paypal.running import running_paypal
from tests.fakes.stripe.running import RunningFake, running_stripe
from tests.integration.payments.answer_desk import AnswerDesk, open_answer_desk
from tests.world import World

PDF = b"%PDF-1.7\n1 0 obj <<>> endobj\n%%EOF\n"
SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PLAIN = b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'


@pytest.fixture(scope="module", params=["stripe", "paypal"])
def fake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFake]:
    running = running_stripe if request.param == "stripe" else running_paypal
    with running(tmp_path_factory.mktemp(request.param)) as one:
        yield one


@pytest.fixture
async def answering(world: World, fake: RunningFake, tmp_path: Path) -> AsyncIterator[AnswerDesk]:
    async with open_answer_desk(world, fake, tmp_path) as desk:
        yield desk


REFUSED: dict[str, tuple[bytes, dict[str, str], type[MatrixError]]] = {
    "a program": (b"MZ\x90\x00", {}, FileRefused),
    "a program that is called otherwise": (b"\x7fELF\x02\x01", {"name": "receipt.pdf"}, FileRefused),
    "an SVG with a script": (SCRIPT, {"name": "a.svg"}, FileRefused),
    "an SVG": (PLAIN, {"name": "a.svg"}, FileRefused),
    "nothing": (b"", {}, FileRefused),
    "too large a file": (PDF + b" " * 10_000_000 + b"%%EOF", {}, FileTooLarge),
    "what the provider has no word for": (PDF, {"about": "nonsense"}, Invalid),
}


async def test_files_are_refused_in_words_and_handed_in_with_the_answer(answering: AnswerDesk) -> None:
    for what, (content, said, error) in REFUSED.items():
        with pytest.raises(error) as refused:
            await answering.add(content, **said)
        assert refused.value.message, what
    assert await answering.listed() == []
    first = await answering.add(PDF, "invoice 7.pdf")
    away = await answering.add(
        PDF, "wrong.pdf", "service_documentation" if answering.provider == "stripe" else ""
    )
    async with answering.work() as uow:
        link = await evidence_files.link_to(uow, answering.dispute.id, first)
        assert first in link.url
        with pytest.raises(NotFound):
            await evidence_files.remove(uow, answering.dispute.id, "file_x")
        await evidence_files.remove(uow, answering.dispute.id, away)
    (row,) = await answering.listed()
    assert (row.name, row.content_type, row.size_bytes, row.created_by) == (
        "invoice 7.pdf", "application/pdf", len(PDF), "acc_staff",
    )  # fmt: skip
    with pytest.raises(StaleVersion):
        await answering.answer([])

    answered = await answering.answer([row])

    assert (answered.state, answered.submitted_by) == ("under_review", "acc_staff")
    assert answered.evidence is not None
    assert f"{row.field}.{first}" in answered.evidence["files"]
    with pytest.raises(DisputeStateConflict):
        await answering.add(PDF, about=row.field)
    with pytest.raises(DisputeStateConflict):
        async with answering.work() as uow:
            await evidence_files.remove(uow, answering.dispute.id, first)
    assert [one.id for one in await answering.listed()] == [first]


async def test_too_many_too_late_and_what_is_anothers_is_refused(answering: AnswerDesk, world: World) -> None:
    async with answering.work() as uow:
        _, terms = await evidence_files.answerable(uow, answering.dispute.id)
    fields = terms.fields if terms.is_one_each else terms.fields[:1] * terms.files_max
    for field in fields[: terms.files_max]:
        await answering.add(PDF, about=field)
    with pytest.raises(EvidenceFull):
        await answering.add(PDF)
    (first, *_) = await answering.listed()
    # The customer owns them and sees none of them; staff of this work sees them.
    owner = world.actor(answering.till.shop.customer, Role.OWNER)
    async with unit_of_work(owner) as uow:
        assert await file_queries.list_files(uow) == []
    for role in (Role.SUPPORT, Role.OWNER):
        actor = Actor("acc_x", answering.dispute.organization_id, ROLE_CAPABILITIES[role])
        with pytest.raises(MatrixError):
            async with crossing(Reason.STAFF, actor=actor, target=actor.organization_id) as uow:
                await evidence_files.link_to(uow, answering.dispute.id, first.id)
    other = await world.organization(OrganizationKind.CLIENT)
    with pytest.raises(NotFound):
        async with unit_of_work(Actor("acc_x", other.id, ROLE_CAPABILITIES[Role.OPERATOR])) as uow:
            await evidence_files.listed(uow, answering.dispute.id)
    assert answering.dispute.due_at is not None
    answering.till.clock.at = answering.dispute.due_at + timedelta(seconds=1)
    with pytest.raises(DisputeStateConflict, match="time to answer"):
        await answering.add(PDF)
