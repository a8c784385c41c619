"""Acts that a stolen session must not be enough for: whoever does them has shown who they are a moment ago."""

from __future__ import annotations

from services.core.actor import SYSTEM
from services.core.errors import Forbidden
from services.core.work import UnitOfWork
from services.identity import rules


class ProofNeeded(Forbidden):
    """The session is right, but nobody has shown for a while whose it is. Pages ask, then send the request again."""

    code = "proof_needed"
    title = "Confirm that it is you"

    def __init__(self) -> None:
        minutes = round(rules.PROOF_VALID.total_seconds() / 60)
        super().__init__(
            f"This needs your password, entered within the last {minutes} minutes.",
            next_step="Confirm that it is you (POST /api/v1/session/proof), then try again.",
        )


def require_recent_proof(uow: UnitOfWork) -> None:
    """Let only somebody act who showed within `rules.PROOF_VALID` who they are, by signing in or by a proof.

    Raises ProofNeeded, for API keys always: they cannot show it. The product itself may act.
    """
    if uow.actor.id == SYSTEM:
        return
    proved_at = uow.actor.proved_at
    # Clocks of two machines differ a little; one that is far ahead must not make a proof that lasts.
    if proved_at is None or abs(uow.wall_now - proved_at) >= rules.PROOF_VALID:
        raise ProofNeeded
