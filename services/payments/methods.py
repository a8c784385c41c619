"""What organisations pay with: kept by the provider, known here by a sealed name and by what tells it from others."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy.dialects.postgresql import insert

from models.payments import PaymentMethod, ProviderCustomer
from services.core.crypto import Place, vault
from services.core.errors import NotFound, StaleVersion
from services.core.ids import new_id
from services.core.openings import Purpose, opened
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.rules import clean_text
from services.payments import policies
from services.payments.events import PaymentMethodChanged, PaymentMethodRemoved, PaymentMethodSaved
from services.payments.providers import values

NAME_CHARACTERS_MAX = 60
_WRITE = Capability.PAYMENTS_WRITE


async def customer_of(uow: UnitOfWork, account_id: str) -> str:
    """Under which name the provider knows the organisation; empty if it does not yet."""
    row = await policies.customer_of(uow, account_id)
    if row is None:
        return ""
    place = _customer_place(uow, account_id)
    return (await opened(uow, row.reference, place, Purpose.CUSTOMER_NAMED)).decode()


async def keep_customer(uow: UnitOfWork, account_id: str, reference: str) -> None:
    """The first name that is kept stays: two made at once are one too many, and harmless."""
    await uow.execute(
        insert(ProviderCustomer)
        .values(
            organization_id=uow.organization_id,
            provider_account_id=account_id,
            reference=await vault().seal(reference.encode(), _customer_place(uow, account_id)),
            created_at=uow.now,
        )
        .on_conflict_do_nothing()
    )


async def keep(uow: UnitOfWork, account_id: str, said: values.Method) -> PaymentMethod:
    """Keep what the provider keeps. The same method again is the row that is there; the first one of an organisation
    is what it pays with by itself."""
    hashed = vault().lookup_hash(said.reference)
    found = await uow.execute(
        "select id from payment_method where provider_account_id = :account_id and token_hash = :hashed"
        " and removed_at is null",
        account_id=account_id,
        hashed=hashed,
    )
    if (there := found.scalar_one_or_none()) is not None:
        return await policies.method_for(uow, there, Capability.PAYMENTS_WRITE)
    method_id = new_id("paym")
    row = PaymentMethod(
        id=method_id,
        organization_id=uow.organization_id,
        provider_account_id=account_id,
        kind=said.kind,
        brand=said.brand,
        last4=said.last4,
        expires_month=said.expiry_month or None,
        expires_year=said.expiry_year or None,
        token=await vault().seal(said.reference.encode(), _token_place(uow, method_id)),
        token_hash=hashed,
        is_default=await _default(uow) is None,
        created_at=uow.now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(PaymentMethodSaved(**_named(row), kind=row.kind))
    return row


async def token_of(uow: UnitOfWork, method: PaymentMethod, purpose: Purpose) -> str:
    """The provider's name for a method that the caller was let to."""
    return (await opened(uow, method.token, _token_place(uow, method.id), purpose)).decode()


async def change(uow: UnitOfWork, method_id: str, *, name: str, version: int | None = None) -> PaymentMethod:
    """Call it something else. Raises Forbidden, NotFound, StaleVersion and Invalid."""
    row = await policies.method_for(uow, method_id, _WRITE, lock=True)
    if version is not None and row.version != version:
        raise StaleVersion("Somebody changed this method meanwhile.", next_step="Read it again.")
    clean = (
        clean_text(name, field="name", what="The name", characters_max=NAME_CHARACTERS_MAX)
        if name.strip()
        else ""
    )
    if clean != row.name:
        row.name = clean
        await _write(uow, row, ["name"])
    return row


async def make_default(uow: UnitOfWork, method_id: str) -> PaymentMethod:
    """Pay with it by itself from now on. Raises Forbidden and NotFound."""
    await _lock(uow)
    row = await policies.method_for(uow, method_id, _WRITE, lock=True)
    before = await _default(uow)
    if before == row.id:
        return row
    if before is not None:
        other = await policies.method_for(uow, before, _WRITE, lock=True)
        other.is_default = False
        await _write(uow, other, ["is_default"])
    row.is_default = True
    await _write(uow, row, ["is_default"])
    return row


async def remove(uow: UnitOfWork, method_id: str) -> PaymentMethod:
    """Pay with it no more; the provider was told to forget it. The newest other one is what is paid with by itself.

    Raises Forbidden and NotFound.
    """
    await _lock(uow)
    row = await policies.method_for(uow, method_id, _WRITE, lock=True)
    was_default = row.is_default
    row.is_default, row.removed_at = False, uow.now
    row.version += 1
    uow.add(row)
    await uow.session.flush()
    uow.record(PaymentMethodRemoved(**_named(row), kind=row.kind))
    if was_default and (newest := await _newest(uow)) is not None:
        await make_default(uow, newest)
    return row


async def remove_if_there(uow: UnitOfWork, method_id: str) -> None:
    """As `remove`; that it is gone already is no error. Raises Forbidden."""
    with suppress(NotFound):
        await remove(uow, method_id)


async def learn(uow: UnitOfWork, method_id: str, said: values.Method | None) -> None:
    """Write down how the provider keeps a method now; None removes one that it keeps no more. What was declined before
    a card got another number or date says nothing of it any more: it may be charged again at once."""
    if said is None:
        await remove_if_there(uow, method_id)
        return
    try:
        row = await policies.method_for(uow, method_id, _WRITE, lock=True)
    except NotFound:
        return
    now = {
        "brand": said.brand,
        "last4": said.last4,
        "expires_month": said.expiry_month or None,
        "expires_year": said.expiry_year or None,
    }
    changed = [name for name, value in now.items() if getattr(row, name) != value]
    if not changed:
        return
    for name in changed:
        setattr(row, name, now[name])
    if changed != ["brand"]:
        row.renewed_at = uow.now
    await _write(uow, row, changed)


async def _default(uow: UnitOfWork) -> str | None:
    found = await uow.execute(
        "select id from payment_method where organization_id = :organization_id and is_default",
        organization_id=uow.organization_id,
    )
    return found.scalar_one_or_none()


async def _newest(uow: UnitOfWork) -> str | None:
    found = await uow.execute(
        "select id from payment_method where organization_id = :organization_id and removed_at is null"
        " order by created_at desc, id desc limit 1",
        organization_id=uow.organization_id,
    )
    return found.scalar_one_or_none()


async def _lock(uow: UnitOfWork) -> None:
    """Two who choose what is paid with by itself choose one after the other."""
    await uow.execute(
        "select pg_advisory_xact_lock(hashtextextended(:organization_id, 45))",
        organization_id=uow.organization_id,
    )


async def _write(uow: UnitOfWork, row: PaymentMethod, changed: list[str]) -> None:
    row.version += 1
    uow.add(row)
    await uow.session.flush()
    uow.record(PaymentMethodChanged(**_named(row), changed=changed))


def _named(row: PaymentMethod) -> dict[str, str]:
    return {"aggregate_id": row.id, "organization_id": row.organization_id}


def _token_place(uow: UnitOfWork, method_id: str) -> Place:
    return Place(uow.organization_id, "payment_method", "token", method_id)


def _customer_place(uow: UnitOfWork, account_id: str) -> Place:
    return Place(uow.organization_id, "provider_customer", "reference", account_id)
