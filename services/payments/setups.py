"""Keeping a method on the provider's page, without paying anything yet.

    setup = await setups.start(uow, account_id, key=...)     # written down, and committed by the door
    await setups.send(till, setup.id, organization_id)       # the provider is asked for its page
    await setups.look(till, setup.id, organization_id)       # at any time: was a method given there?

An answer that is lost is asked for again with the same key, which makes no second page. Whoever gives a method and
does not come back is found by the worker, as with payments.
"""

from __future__ import annotations

from functools import partial

from models.method_setups import MethodSetup, SetupState
from models.payments import ProviderAccount
from services.billing.invoices import KeyMeansOther, require_key
from services.core.crossing import Reason
from services.core.errors import Invalid, Unavailable
from services.core.ids import new_id
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.payments import checking, methods, policies, rules
from services.payments.cashier import LEFT_AFTER, NEVER_ARRIVED_AFTER, Cashier
from services.payments.charging import ANSWER_WITHIN, require_open
from services.payments.events import MethodSetupEnded, MethodSetupStarted
from services.payments.providers import base, registry, values

log = get_logger(__name__)

PAGE = "/portal/payment-methods"
OPEN_SHOWN_MAX = 10
S = SetupState
OPEN = frozenset({S.SENDING, S.WAITING})
_DUE = checking.to_check("method_setup")
_OPEN = """
select id from method_setup where organization_id = :organization_id and ended_at is null
order by created_at desc, id desc limit :most
"""


async def start(uow: UnitOfWork, account_id: str, *, key: str) -> MethodSetup:
    """Write down that a method is to be kept. The same key is the one that is there.

    Raises Forbidden, NotFound, AccountDisabled, KeyMeansOther, and Invalid for a provider that keeps none.
    """
    require_key(key)
    account = await policies.account_for(uow, account_id, Capability.PAYMENTS_WRITE)
    if (there := await _known(uow, key)) is not None:
        if there.provider_account_id != account.id:
            raise KeyMeansOther(f"{key!r} is the key of another one.", next_step="Give it another key.")
        return there
    require_open(uow, account)
    if not registry.kind(account.provider).capabilities.keeps_methods:
        raise Invalid(f"{account.name} keeps no methods.", field="provider_account_id")
    row = MethodSetup(
        id=new_id("pset"),
        organization_id=uow.organization_id,
        provider_account_id=account.id,
        key=key,
        state=S.SENDING.value,
        created_at=uow.wall_now,
        check_at=uow.wall_now + ANSWER_WITHIN,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(MethodSetupStarted(**_named(row), provider=account.provider))
    return row


async def open_ones(uow: UnitOfWork) -> list[MethodSetup]:
    """Those of the organisation that have not ended, the newest first, at most OPEN_SHOWN_MAX. Raises Forbidden."""
    uow.actor.require(Capability.PAYMENTS_READ)
    found = await uow.execute(_OPEN, organization_id=uow.organization_id, most=OPEN_SHOWN_MAX)
    return [await policies.setup_for(uow, one, Capability.PAYMENTS_READ) for one in found.scalars().all()]


async def send(till: Cashier, setup_id: str, organization_id: str) -> MethodSetup:
    """Ask for the provider's page. An answer that is lost leaves it as it is. Raises NotFound."""
    row, account = await _read(till, setup_id, organization_id)
    if row.state != S.SENDING:
        return row
    try:
        return await _ask(till, row, account)
    except base.UnknownOutcome as error:
        log.warning("method_setup_outcome_unknown", setup_id=setup_id, error=error.message)
        return row
    except (base.ProviderUnavailable, base.RefusedByProvider, base.Declined) as error:
        log.warning("method_setup_not_done", setup_id=setup_id, error=error.message)
        return await _end(till, row, S.FAILED, "The provider did not take it. Please try again in a moment.")


async def look(till: Cashier, setup_id: str, organization_id: str) -> MethodSetup:
    """Ask whether a method was given, and keep it.

    Raises NotFound, and ProviderUnavailable, UnknownOutcome and RefusedByProvider, which leave it as it is.
    """
    row, account = await _read(till, setup_id, organization_id)
    if row.state not in OPEN:
        return row
    if row.provider_ref is None:
        # Nobody has the address of its page, so nothing can be given there: after a while it is of no use.
        if till.wall_now() - row.created_at > NEVER_ARRIVED_AFTER:
            return await _end(till, row, S.FAILED, "It could not be begun. Please try again.")
        return await _ask(till, row, account)
    provider = await till.provider_of(account)
    return await _learn(till, row, account, await provider.read_setup(row.provider_ref))


async def check_due(till: Cashier) -> int:
    """Look at all whose time has come; returns how many. Safe to run twice and from many workers."""
    checked = 0
    async for row in checking.due(partial(till.across, Reason.PAYMENTS), _DUE):
        await _check(till, row.id, row.organization_id)
        checked += 1
    return checked


async def _check(till: Cashier, setup_id: str, organization_id: str) -> None:
    """One that cannot be looked at now is looked at later, and holds up no other."""
    try:
        row = await look(till, setup_id, organization_id)
        if row.state == S.WAITING and till.wall_now() - row.created_at > LEFT_AFTER:
            await _end(till, row, S.CANCELED, "")
        return
    except Unavailable as error:
        log.warning("method_setup_check_waits", setup_id=setup_id, error=error.message)
    except Exception as error:
        log.error("method_setup_check_failed", setup_id=setup_id, exc_info=error)
    async with till.within(organization_id) as uow:
        held = await policies.setup_for(uow, setup_id, Capability.PAYMENTS_WRITE, lock=True)
        if held.state in OPEN and uow.wall_now - held.created_at > LEFT_AFTER:
            _ended(uow, held, S.CANCELED, "")
        else:
            _check_later(uow, held)


async def _ask(till: Cashier, row: MethodSetup, account: ProviderAccount) -> MethodSetup:
    provider = await till.provider_of(account)
    order = values.SetupOrder(
        key=row.id,
        customer=await till.customer_at(account, row.organization_id),
        return_url=f"{till.public_url}{PAGE}",
    )
    return await _learn(till, row, account, await provider.setup(order))


async def _learn(
    till: Cashier, row: MethodSetup, account: ProviderAccount, said: values.Setup
) -> MethodSetup:
    """Write down what the provider says; the row is locked, so that two who heard it keep one method."""
    async with till.within(row.organization_id) as uow:
        held = await policies.setup_for(uow, row.id, Capability.PAYMENTS_WRITE, lock=True)
        if held.state not in OPEN:
            return held
        held.provider_ref = said.reference
        if said.state is values.SetupState.READY and said.method is not None:
            method = await methods.keep(uow, account.id, said.method)
            held.method_id = method.id
            _ended(uow, held, S.KEPT, "")
        elif said.state is values.SetupState.CANCELED:
            _ended(uow, held, S.CANCELED, "")
        else:
            _wait(uow, held, said)
        return held


def _wait(uow: UnitOfWork, row: MethodSetup, said: values.Setup) -> None:
    if said.action is not None:
        row.action = {"url": said.action.url}
    row.message = said.decline.told if said.decline is not None else ""
    if row.state != S.WAITING:
        row.state = S.WAITING.value
        row.version += 1
    _check_later(uow, row)


async def _end(till: Cashier, row: MethodSetup, state: SetupState, message: str) -> MethodSetup:
    async with till.within(row.organization_id) as uow:
        held = await policies.setup_for(uow, row.id, Capability.PAYMENTS_WRITE, lock=True)
        if held.state in OPEN:
            _ended(uow, held, state, message)
        return held


def _ended(uow: UnitOfWork, row: MethodSetup, state: SetupState, message: str) -> None:
    row.state, row.message, row.ended_at = state.value, message, uow.wall_now
    row.action = row.check_at = None
    row.version += 1
    uow.add(row)
    uow.record(MethodSetupEnded(**_named(row), state=state.value))


def _check_later(uow: UnitOfWork, row: MethodSetup) -> None:
    if row.state not in OPEN:
        return
    row.check_at = uow.wall_now + rules.check_wait(row.checks)
    row.checks += 1
    uow.add(row)


async def _read(till: Cashier, setup_id: str, organization_id: str) -> tuple[MethodSetup, ProviderAccount]:
    async with till.within(organization_id) as uow:
        row = await policies.setup_for(uow, setup_id, Capability.PAYMENTS_READ)
        return row, await policies.account_for(uow, row.provider_account_id, Capability.PAYMENTS_READ)


async def _known(uow: UnitOfWork, key: str) -> MethodSetup | None:
    found = await uow.execute(
        "select id from method_setup where organization_id = :organization_id and key = :key",
        organization_id=uow.organization_id,
        key=key,
    )
    setup_id = found.scalar_one_or_none()
    return None if setup_id is None else await policies.setup_for(uow, setup_id, Capability.PAYMENTS_WRITE)


def _named(row: MethodSetup) -> dict[str, str]:
    return {"aggregate_id": row.id, "organization_id": row.organization_id}
