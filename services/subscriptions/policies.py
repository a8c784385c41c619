"""Who may have a change of a subscription count when.

Source: docs/decisions/0049-paid-time.md.
"""

from __future__ import annotations

from models.types import ProrationBehaviour
from services.core.actor import Actor
from services.core.permissions import Capability

# Either what is had at once is billed at once, or nothing more is had before it is.
OWN_BEHAVIOURS = frozenset({ProrationBehaviour.INVOICE_NOW, ProrationBehaviour.NEXT_PERIOD})


def require_behaviour(actor: Actor, behaviour: ProrationBehaviour | None) -> None:
    """Raises Forbidden for a customer who would have time before it is paid, or a new period with its free units."""
    if behaviour is not None and behaviour not in OWN_BEHAVIOURS:
        actor.require(Capability.STAFF_SUBSCRIPTIONS_WRITE)
