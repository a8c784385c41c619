"""Customers' tax numbers: asked of their register, and what staff found out itself.

The register is asked outside of any transaction. One that does not answer is asked again, ever later; until then the
legal entity says whether its buyers are believed. What was found is kept on each document as evidence. A number that
was valid is asked about again before its proof is old, and stays valid until the register says otherwise.
"""

from __future__ import annotations

from datetime import timedelta

from models.billing import BillingProfile
from services.billing import issuers, policies, profiles
from services.billing.events import TaxNumberChecked
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Invalid, Unavailable
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork, unit_of_work
from services.tax.evidence import number_to_json
from services.tax.numbers import VIES, register_of, written
from services.tax.rules import CheckedNumber, NumberState
from services.tax.vies import Answer, Vies

log = get_logger(__name__)

EVERY_S = 20
BATCH = 20  # numbers asked in one run, one after the other: VIES bounds how many ask at once
TAKEN_FOR = timedelta(minutes=15)  # by one worker; more than a batch takes when nothing answers
RETRY = timedelta(minutes=5)  # doubled each time
RETRY_MAX = timedelta(hours=6)
PROVEN_FOR = timedelta(days=90)  # then a valid number is asked about again: it may have been struck off
_VAT = "VAT"

_TAKE = """
update billing_profile set number_check_at = :later where organization_id in (
  select organization_id from billing_profile where number_check_at <= :now
  order by number_check_at limit :most for update skip locked
) returning organization_id
"""


async def set_tax_number(
    uow: UnitOfWork,
    number: str,
    *,
    valid: bool,
    source: str,
    reason: str,
    reference: str = "",
    version: int | None = None,
) -> BillingProfile:
    """Keep a customer's tax number in the country of its profile as staff found it, now, whatever its register says;
    without a number there is none.

    In work bound to the organisation. Raises Forbidden, Invalid, StaleVersion, and NotFound where there is no profile.
    """
    row = await profiles.for_staff(uow, version)
    if not number.strip():
        return await profiles.write(uow, profiles.values_of(row) | {"tax_number": None})
    found = CheckedNumber(
        row.country,
        profiles.clean_reason(number, "number", "The number"),
        NumberState.VALID if valid else NumberState.INVALID,
        uow.wall_now,
        profiles.clean_reason(source, "source", "Who checked it"),
        profiles.clean_reason(reference, "reference", "The reference", needed=False),
        profiles.clean_reason(reason, "override_reason", "The reason"),
    )
    _record(uow, found)
    return await profiles.write(uow, profiles.values_of(row) | {"tax_number": number_to_json(found)})


async def check_again(uow: UnitOfWork, *, version: int | None = None) -> BillingProfile:
    """Have the register asked once more, as soon as a worker has time. For staff, as `set_tax_number`."""
    row = await profiles.for_staff(uow, version)
    number = profiles.tax_number_of(row)
    if number is None or not register_of(number.country, number.number):
        raise Invalid(
            "There is no number here that a register could be asked about.",
            field="number",
            next_step="Enter the number, or say yourself what you found.",
        )
    as_asked = written(number.country, number.number, field="number")
    again = CheckedNumber(number.country, as_asked, NumberState.UNCHECKED)
    return await profiles.write(uow, profiles.values_of(row) | {"tax_number": number_to_json(again)})


async def check_due(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Ask about the numbers that wait for it. Returns how many were asked. Safe to run twice and from many workers."""
    address = settings().vies_url
    if not address:
        return 0
    async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
        now = uow.wall_now
        taken = await uow.execute(_TAKE, now=now, later=now + TAKEN_FOR, most=BATCH)
        due = list(taken.scalars())
    if due:
        async with Vies(address, allowed=settings().allow_private_upstreams) as vies:
            for organization_id in due:
                await _check(organization_id, vies, on, clock)
    return len(due)


async def _check(organization_id: str, vies: Vies, on: Database | None, clock: Clock | None) -> None:
    """Between reading and writing the number may have become another: then what was found is nobody's."""
    async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
        row = await policies.profile_of(uow)
        number = row and profiles.tax_number_of(row)
        requester = await _own_number(uow)
    if number is None:
        return
    answer: Answer | None = None
    try:
        answer = await vies.ask(number.number, requester=requester)
    except Unavailable as error:
        log.warning("tax_register_unavailable", organization_id=organization_id, error=error.message)
    async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
        row = await policies.profile_of(uow, lock=True)
        if row is not None and profiles.tax_number_of(row) == number:
            await _keep(uow, row, number, answer)


async def _own_number(uow: UnitOfWork) -> str:
    """The number of whoever bills the customer, which VIES gives a proof of the question to; empty if it has none."""
    try:
        entity = await issuers.billing_entity(uow, needs=Capability.INVOICES_READ)
    except (Invalid, issuers.LegalEntityMissing):
        return ""
    numbers = [one["number"] for one in entity.tax_ids if one["kind"].upper() == _VAT]
    own = "".join(numbers[0].split()) if numbers else ""
    return own if register_of(entity.country, own) else ""


async def _keep(uow: UnitOfWork, row: BillingProfile, number: CheckedNumber, answer: Answer | None) -> None:
    if answer is None:
        waits = min(RETRY_MAX, RETRY * 2 ** min(row.number_check_tries, 10))
        row.number_check_at = uow.wall_now + waits
        row.number_check_tries += 1
        if number.state is not NumberState.UNCHECKED:
            return  # what was found stands
        state = NumberState.UNAVAILABLE
    else:
        state = NumberState.VALID if answer.valid else NumberState.INVALID
        row.number_check_at = uow.wall_now + PROVEN_FOR if answer.valid else None
        row.number_check_tries = 0
    reference = answer.reference if answer is not None else ""
    found = CheckedNumber(number.country, number.number, state, uow.wall_now, VIES, reference)
    row.tax_number = number_to_json(found)
    row.version += 1
    row.updated_at = uow.wall_now
    _record(uow, found)


def _record(uow: UnitOfWork, found: CheckedNumber) -> None:
    uow.record(
        TaxNumberChecked(
            aggregate_id=uow.organization_id,
            organization_id=uow.organization_id,
            state=found.state.value,
            source=found.source,
            reference=found.reference,
            reason=found.reason,
        )
    )
