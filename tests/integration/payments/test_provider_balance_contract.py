"""What every payment provider tells of its balance, payouts and disputes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.money import Money
from services.payments.providers.base import (
    PaymentProvider,
    RefusedByProvider,
)
from services.payments.providers.values import (
    NOTES,
    DisputeState,
    Evidence,
    EvidenceFile,
    MovementKind,
    PayoutState,
    RefundOrder,
    RefundState,
)
from tests.integration.payments.provider_kits import (
    CARDS,
    Kit,
    key,
    order,
    since,
)
from tests.integration.payments.stripe_kit import StripeKit


async def test_movements_add_up_to_the_balance(kit: Kit, provider: PaymentProvider) -> None:
    begin, ready = since(kit), await kit.ready(provider)
    paid = [await provider.create_or_confirm(order(Money(n * 10_00, "SGD"), **ready)) for n in (3, 4, 5)]
    back = RefundOrder(key(), paid[0].reference, Money(7_00, "SGD"))
    await provider.refund(back)
    for one, won in ((paid[1], False), (paid[2], True)):
        kit.decide(kit.dispute(one.reference), won=won)
    kit.catch_up()

    until = datetime.fromtimestamp(kit.now() + 1, UTC)
    moved = [
        one for one in (await provider.movements(since=begin, until=until)).items if one.net.currency == "SGD"
    ]

    assert all(one.net == one.gross - one.fee for one in moved)
    assert sum((one.net for one in moved), Money(0, "SGD")) == kit.balance("SGD")
    by_kind = {kind: [one for one in moved if one.kind is kind] for kind in {one.kind for one in moved}}
    assert by_kind.keys() - {MovementKind.FEE} == {
        MovementKind.CHARGE, MovementKind.REFUND, MovementKind.DISPUTE, MovementKind.DISPUTE_REVERSAL,
    }  # fmt: skip
    assert {(one.key, one.payment) for one in by_kind[MovementKind.CHARGE]} == {
        (one.key, one.reference) for one in paid
    }
    assert [(one.key, one.gross) for one in by_kind[MovementKind.REFUND]] == [(back.key, Money(-7_00, "SGD"))]


@CARDS
async def test_what_a_payout_consists_of_adds_up_to_it(kit: StripeKit, provider: PaymentProvider) -> None:
    begin = since(kit)
    paid = [
        await provider.create_or_confirm(order(Money(n * 10_00, "CHF"), method=kit.good)) for n in (3, 4, 5)
    ]
    await provider.refund(RefundOrder(key(), paid[0].reference, Money(7_00, "CHF")))
    for one, won in ((paid[1], False), (paid[2], True)):
        kit.decide(kit.dispute(one.reference), won=won)
    kit.settle()

    reference = kit.pay_out("chf")

    payout = await provider.read_payout(reference)
    parts = (await provider.payout_movements(reference)).items
    assert payout.traced
    assert sum((one.net.minor for one in parts), 0) == payout.amount.minor > 0
    assert all(one.net == one.gross - one.fee for one in parts)
    kinds = sorted(one.kind for one in parts)
    assert kinds == sorted(
        [MovementKind.CHARGE] * 3
        + [MovementKind.REFUND, MovementKind.DISPUTE_REVERSAL]
        + [MovementKind.DISPUTE] * 2
    )
    assert {one.payment for one in parts} == {one.reference for one in paid}
    assert {one.key for one in parts if one.kind is MovementKind.CHARGE} == {one.key for one in paid}
    until = datetime.fromtimestamp(kit.now() + 1, UTC)
    moved = [
        one for one in (await provider.movements(since=begin, until=until)).items if one.net.currency == "CHF"
    ]
    assert sum(one.net.minor for one in moved) == 0
    assert reference in {one.reference for one in (await provider.payouts(since=begin)).items}
    kit.settle()
    assert (await provider.read_payout(reference)).state is PayoutState.PAID


async def test_a_dispute_is_listed_and_blocks_refunds(kit: Kit, provider: PaymentProvider) -> None:
    begin = since(kit)
    paid = await provider.create_or_confirm(order(**await kit.ready(provider)))
    reference = kit.dispute(paid.reference)

    (found,) = [one for one in (await provider.disputes(since=begin)).items if one.payment == paid.reference]

    assert (found.reference, found.state, found.amount) == (reference, DisputeState.NEEDS_ANSWER, paid.amount)
    assert found.due is not None
    with pytest.raises(RefusedByProvider):
        await provider.refund(RefundOrder(key(), paid.reference))
    kit.decide(reference, won=True)
    assert (await provider.read_dispute(reference)).state is DisputeState.WON
    assert (await provider.refund(RefundOrder(key(), paid.reference))).state is RefundState.DONE


async def test_a_dispute_is_answered_once_with_files(kit: Kit, provider: PaymentProvider) -> None:
    paid = await provider.create_or_confirm(order(**await kit.ready(provider)))
    reference = kit.dispute(paid.reference)
    terms = provider.capabilities.evidence
    assert terms is not None

    def file(name: str, content: bytes, field: str = "") -> EvidenceFile:
        return EvidenceFile(field or terms.pack_field, name, "application/pdf", content)

    with pytest.raises(RefusedByProvider):  # a program is no evidence
        await provider.answer_dispute(reference, Evidence({}, (file("x.pdf", b"MZ\x90\x00"),)), key=key())
    long = "uncategorized_text" if not terms.notes_max else NOTES
    with pytest.raises(RefusedByProvider):
        await provider.answer_dispute(reference, Evidence({long: "x" * 150_001}), key=key())
    said = Evidence(
        {"product_description" if not terms.notes_max else NOTES: "Tokens"},
        (file("log.pdf", b"%PDF-1.7\r\nlog"), file('a "b".pdf', b"%PDF-1.7\r\n--x", terms.fields[1])),
    )
    once = key()
    handed_in = await provider.answer_dispute(reference, said, key=once)
    assert (handed_in.state, handed_in.submissions > 0, handed_in.due) == (
        DisputeState.UNDER_REVIEW,
        True,
        None,
    )
    assert await provider.answer_dispute(reference, said, key=once) == handed_in
    with pytest.raises(RefusedByProvider):
        await provider.answer_dispute(reference, said, key=key())
