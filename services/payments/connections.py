"""Whether an account with a provider works: asked for something that changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from models.payments import ProviderAccount
from services.core.crypto import CannotOpen
from services.core.errors import MatrixError
from services.payments.cashier import Cashier

LOOKED_BACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Connection:
    """`message` says what the provider answered, for staff."""

    is_well: bool
    message: str


async def check(till: Cashier, account: ProviderAccount) -> Connection:
    """Ask what moved the balance lately. Says what is wrong instead of raising it."""
    try:
        provider = await till.provider_of(account)
        now = till.wall_now()
        await provider.movements(since=now - LOOKED_BACK, until=now)
    except MatrixError as error:
        return Connection(False, f"{account.name}: {error.message} {error.next_step}".strip())
    except CannotOpen:
        return Connection(False, f"{account.name}: its secrets cannot be opened here. Give them anew.")
    return Connection(True, f"{account.name} answers.")
