"""What a provider's book tells of that nobody has told us: the provider is asked again, so that an event that was lost
is made good before anything is compared."""

from __future__ import annotations

from services.core import clock as clocks
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Unavailable
from services.core.logs import get_logger
from services.payments.cashier import Cashier
from services.payments.providers.base import RefusedByProvider
from services.refunds.refunding import Refunding

log = get_logger(__name__)

REFUNDS_MAX = 500  # of one turn; the next asks about the others
_CAME_BACK = """
select distinct r.id, r.organization_id from provider_movement m join refund r on r.id = m.key
where m.match = 'waiting' and m.kind = 'refund_failure' and r.state in ('processing','succeeded')
order by r.id limit :most
"""


async def ask_again(cashier: Cashier, on: Database | None, clock: clocks.Clock) -> None:
    """About refunds whose money is back in the balance, and which are thought to have arrived. Those that nobody can
    be asked about now open a case, as all that is not found."""
    async with crossing(Reason.PAYMENTS, on=on, clock=clock) as uow:
        found = (await uow.execute(_CAME_BACK, most=REFUNDS_MAX)).all()
    for row in found:
        try:
            await Refunding(cashier, on, clock).look(row.id, row.organization_id)
        except (Unavailable, RefusedByProvider) as error:
            log.warning("refund_that_came_back_waits", refund_id=row.id, error=error.message)
