"""What may become of a contest. Pure."""

from __future__ import annotations

from models.disputes import ContestState
from services.core.errors import Conflict, Invalid

S = ContestState
TRANSITIONS: dict[ContestState, frozenset[ContestState]] = {
    S.OPEN: frozenset({S.CREDITED, S.REFUSED, S.WITHDRAWN}),
    S.CREDITED: frozenset(),
    S.REFUSED: frozenset(),
    S.WITHDRAWN: frozenset(),
}


class ContestStateConflict(Conflict):
    """What was asked for does not fit the state that the contest is in."""

    code = "contest_state"
    title = "The contest is not in a state for this"


class AlreadyContested(Conflict):
    """One contest at a time of an invoice as a whole, and of each of its lines."""

    code = "already_contested"
    title = "This is contested already"


def require_transition(now: ContestState, wanted: ContestState) -> None:
    """Raises ContestStateConflict for what the table does not have; also for a state that is there already."""
    if wanted not in TRANSITIONS[now]:
        raise ContestStateConflict(
            f"This contest is {now.value} and cannot become {wanted.value}.",
            next_step="Contest it anew if something else is wrong."
            if now is not S.OPEN
            else "Read it again.",
            state=now.value,
        )


def require_amount(minor: int, *, most: int) -> None:
    """Raises Invalid for what is not above zero, and for more than there is to contest."""
    if minor <= 0:
        raise Invalid("What is contested is above zero.", field="amount")
    if minor > most:
        raise Invalid(
            "This is more than there is to contest.",
            field="amount",
            next_step="Leave the amount out to contest all of it.",
        )
