"""Places in lists of what happened, the newest first: an instant and an id, as an address says them."""

from __future__ import annotations

from datetime import datetime


def place_text(at: datetime, row_id: str) -> str:
    """The place behind the row with this instant and id."""
    return f"{at.isoformat()} {row_id}"


def place_in(text: str) -> tuple[datetime, str] | None:
    """Where a page begins; an address that says nothing of the kind begins at the beginning."""
    at, _, row_id = text.partition(" ")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, row_id) if moment.tzinfo is not None and row_id.isprintable() else None
