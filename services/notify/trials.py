"""What people are told of trials: that one ends soon, and what is missing for it; and that it is over and waits."""

from __future__ import annotations

from services.core.permissions import Capability
from services.core.relay import Delivered
from services.notify.declared import Telling
from services.notify.words import Facts, Words
from services.subscriptions import unaddressed

_ON_TRIAL = "select from subscription where id = :id and state = 'trialing'"
_UNADDRESSED = f"select from subscription where id = :id and {unaddressed.WAITS}"


def _ends(event: Delivered, facts: Facts) -> Words:
    missing, day = event.payload["missing"], str(event.payload["trial_end"])[: len("2026-01-31")]
    says = [f"The trial of a subscription of {facts.organization} ends on {day} (UTC)."]
    if "profile" in missing:
        says.append("Nobody has said to whom its invoices are addressed: without that it is paused then.")
    else:
        says.append("It is billed from then on, unless you cancel it before.")
    if "method" in missing:
        says.append("No method to pay with is kept, so its invoices are not paid by themselves.")
    href = (
        "/portal/billing-profile" if "profile" in missing else f"/portal/subscriptions/{event.aggregate_id}"
    )
    return Words(
        "A trial ends tomorrow" if event.payload["last"] else "A trial ends soon", " ".join(says), href
    )


def _over(_event: Delivered, facts: Facts) -> Words:
    return Words(
        "A subscription is paused after its trial",
        f"Nobody has said to whom invoices of {facts.organization} are addressed. Fill in the billing profile,"
        " and it goes on by itself from then.",
        "/portal/billing-profile",
    )


TELLINGS: dict[str, tuple[Telling, ...]] = {
    "subscription.trial_ending": (
        Telling("spending", _ends, holders=Capability.SUBSCRIPTIONS_WRITE, while_found=_ON_TRIAL),
    ),
    "subscription.trial_over": (
        Telling("spending", _over, holders=Capability.SUBSCRIPTIONS_WRITE, while_found=_UNADDRESSED),
    ),
}
