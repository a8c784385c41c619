"""Of what a refund consists, and in which words more than there is is refused."""

from __future__ import annotations

import pytest

from services.core.errors import Invalid
from services.refunds.rules import Means, NothingToRefund, PaidFor, Parts, parts_of_all, parts_of_amount


@pytest.mark.parametrize(
    ("paid_for", "said", "where"),
    [
        (PaidFor.INVOICE, "its invoice has no more to credit", "credit notes of its invoice"),
        (PaidFor.TOP_UP, "left of this top-up in the wallet", "what the wallet paid"),
        (PaidFor.ACCOUNT, "left of this money on account", "which invoices it paid"),
    ],
)
def test_what_is_used_already_is_refused_in_words_for_what_was_paid(
    paid_for: PaidFor, said: str, where: str
) -> None:
    means = Means(left=100, owed=40, creditable=0, paid_for=paid_for)
    assert parts_of_all(means) == parts_of_amount(40, means) == Parts(40, 0)
    with pytest.raises(Invalid, match=said) as refused:
        parts_of_amount(41, means)
    assert (refused.value.field, refused.value.error_code) == ("amount", "refund_exceeds_payment")
    with pytest.raises(NothingToRefund) as nothing:
        parts_of_all(Means(left=100, owed=0, creditable=0, paid_for=paid_for))
    assert where in nothing.value.next_step
