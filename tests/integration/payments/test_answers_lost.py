"""Answers to disputes that are lost on the way: handed in once all the same, as they were, or told of as failed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.core.crossing import Reason, crossing
from services.disputes import disputing, evidence_files
from services.disputes.evidence_files import AnswerUnderWay
from services.disputes.rules import is_under_way
from services.files.rules import FileRefused
from services.payments.providers.values import Evidence, EvidenceFile
from tests.fakes.paypal.running import running_paypal
from tests.fakes.stripe.running import RunningFake, RunningStripe, running_stripe
from tests.integration.payments.answer_desk import AnswerDesk, open_answer_desk
from tests.integration.payments.stripe_kit import sdk
from tests.world import World

PDF = b"%PDF-1.7\n1 0 obj <<>> endobj\n%%EOF\n"
LATER = timedelta(minutes=6)


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningFake]]:
    with (
        running_stripe(tmp_path_factory.mktemp("stripe")) as stripe,
        running_paypal(tmp_path_factory.mktemp("paypal")) as paypal,
    ):
        yield {"stripe": stripe, "paypal": paypal}


def spoil(desk: AnswerDesk, kind: str, method: str = "POST", **how: Any) -> None:
    """What is asked of the dispute next, at its provider."""
    desk.till.stripe.act(
        "fault", kind=kind, path=f"*/disputes/{desk.dispute.provider_ref}*", method=method, **how
    )


async def ended_on_the_way(desk: AnswerDesk) -> None:
    """Whoever hands in is gone when the answer is written down and its files, which come first, are on their way."""
    desk.till.stripe.act("fault", kind="hold", path="/v1/files", method="POST")
    handing_in = asyncio.create_task(desk.answer(await desk.listed()))
    while not (await asyncio.to_thread(desk.till.stripe.state))["held"]:
        assert not handing_in.done()
    handing_in.cancel()
    await asyncio.gather(handing_in, return_exceptions=True)
    desk.till.stripe.act("release")


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        ("stripe", "close_before"), ("stripe", "close_after"), ("stripe", "limited"), ("stripe", ""),
        ("paypal", "close_after"), ("paypal", "limited"),
    ],
)  # fmt: skip
async def test_what_is_lost_is_handed_in_once_and_as_it_was(
    world: World, fakes: dict[str, RunningFake], tmp_path: Path, provider: str, fault: str
) -> None:
    async with open_answer_desk(world, fakes[provider], tmp_path) as desk:
        file_id = await desk.add(PDF, "invoice 7.pdf")
        rows = await desk.listed()
        program = EvidenceFile("receipt", "a.pdf", "application/pdf", b"MZ\x90\x00")
        with pytest.raises(FileRefused):  # whatever it is called
            await desk.hand_in(Evidence({}, (program,)), b"")
        if fault:
            spoil(desk, fault)
            await desk.answer(rows)
        else:
            await ended_on_the_way(desk)
        begun = await desk.read()
        assert is_under_way(begun)
        assert begun.evidence is not None
        # Nobody changes or repeats by hand what may be there already, and a worker leaves it alone for a while.
        with pytest.raises(AnswerUnderWay):
            await desk.answer(rows)
        async with desk.work() as uow:
            with pytest.raises(AnswerUnderWay):
                await evidence_files.remove(uow, desk.dispute.id, file_id)
            with pytest.raises(AnswerUnderWay):
                await disputing.concede(uow, desk.dispute.id)
        assert await desk.desk.check_due() == 0

        desk.till.later(LATER)
        if fault == "close_after" and provider == "stripe":  # an event is as good as the worker
            await disputing.Disputing(desk.till.cashier, clock=desk.till.clock).follow(
                desk.till.account.id, desk.dispute.provider_ref
            )
        while is_under_way(await desk.read()):  # a file of the one that is gone may be on its way still
            await asyncio.gather(desk.desk.check_due(), desk.desk.check_due())

        answered = await desk.read()
        assert (answered.state, answered.submitted_by) == ("under_review", "acc_staff")
        assert {**(answered.evidence or {}), "tries": 0} == {**begun.evidence, "tries": 0}
        there = await (await desk.till.cashier.provider_of(desk.till.account)).read_dispute(
            desk.dispute.provider_ref
        )
        assert there.submissions == 1
        assert await desk.desk.check_due() == 0
        assert await cases(desk) == []


async def test_a_failure_that_the_provider_keeps_for_a_key_does_not_outlast_the_time_to_answer(
    world: World, fakes: dict[str, RunningFake], tmp_path: Path
) -> None:
    async with open_answer_desk(world, fakes["stripe"], tmp_path) as desk:
        spoil(desk, "error_kept")
        await desk.answer([])
        for _ in range(2):  # the first is answered as before, since the key is
            desk.till.later(LATER)
            await desk.desk.check_due()

        assert (await desk.read()).state == "under_review"
        there = await (await desk.till.cashier.provider_of(desk.till.account)).read_dispute(
            desk.dispute.provider_ref
        )
        assert there.submissions == 1
        assert await cases(desk) == []


async def refused(desk: AnswerDesk) -> None:
    """The provider knows the key of the answer for something else."""
    assert isinstance(desk.till.stripe, RunningStripe)
    begun = (await desk.read()).evidence
    assert begun is not None
    update: Any = sdk(desk.till.stripe).v1.disputes.update
    other = {"metadata": {"of": "somebody"}}
    await asyncio.to_thread(update, desk.dispute.provider_ref, other, {"idempotency_key": begun["key"]})


async def too_late(desk: AnswerDesk) -> None:
    assert desk.dispute.due_at is not None
    desk.till.clock.at = desk.dispute.due_at + timedelta(seconds=1)


async def decided(desk: AnswerDesk) -> None:
    desk.kit.decide(desk.dispute.provider_ref, won=False)


async def silent(desk: AnswerDesk) -> None:
    await too_late(desk)
    spoil(desk, "error_before", "GET", times=2)


AGAIN = "It can be answered until"
ENDS = {
    refused: ("dispute_answer_failed", AGAIN, "answer_dispute"),
    too_late: (
        "dispute_answer_failed",
        "The time to answer is over. Nothing can be handed in any more",
        None,
    ),
    decided: ("dispute_answer_failed", "It was decided before our answer was there. Nothing", None),
    silent: ("dispute_answer_unknown", "Look at the provider's own pages", None),
}


@pytest.mark.parametrize("end", ENDS)
async def test_what_cannot_be_handed_in_is_a_case_that_says_what_to_do(
    world: World, fakes: dict[str, RunningFake], tmp_path: Path, end: Any
) -> None:
    async with open_answer_desk(world, fakes["stripe"], tmp_path) as desk:
        spoil(desk, "limited")
        await desk.answer([])
        desk.till.later(LATER)
        await end(desk)

        for _ in range(2):
            await desk.desk.check_due()

        (found,) = await cases(desk)
        cause, said, act = ENDS[end]
        assert (found.cause, said in found.detail, (found.proposal or {}).get("act")) == (cause, True, act), (
            found
        )
        assert is_under_way(await desk.read()) == (end is silent)
        if end is silent:  # and as soon as it says something, that counts
            await desk.desk.check_due()
            assert [one.cause for one in await cases(desk)] == [cause, "dispute_answer_failed"]
        if end is refused:
            async with desk.work() as uow:
                await evidence_files.answerable(uow, desk.dispute.id)


async def cases(desk: AnswerDesk) -> list[Any]:
    async with crossing(Reason.PAYMENTS) as uow:
        found = await uow.execute(
            "select cause, detail, proposal from payment_case where organization_id = :id order by created_at, id",
            id=desk.dispute.organization_id,
        )
        return list(found)
