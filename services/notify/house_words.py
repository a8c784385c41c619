"""What staff is told of the installation itself: documents that it could not make, and rules that do not hold."""

from __future__ import annotations

from urllib.parse import urlencode

from services.core.relay import Delivered
from services.notify.words import Facts, Words


def parked(event: Delivered, facts: Facts) -> Words:
    number = str(event.payload.get("number", ""))
    return Words(
        "The files of a document could not be made",
        f"{number} of {facts.organization}: {event.payload.get('error')}",
        f"/governance/papers?{urlencode({'number': number})}",
    )


def broken(event: Delivered, _facts: Facts) -> Words:
    return Words(
        "Something that must always be true is not",
        f"{event.aggregate_id}: {event.payload['means']}",
        "/governance/health",
    )
