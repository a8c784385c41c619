"""Accounts with payment providers: kept by staff, their secrets sealed, and opened for those who call the provider."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from models.payments import ProviderAccount
from services.core.crypto import PLATFORM, Place, vault
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.openings import Purpose, opened
from services.core.outgoing import checked_url
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.proof import require_recent_proof
from services.identity.queries import changed_meanwhile
from services.identity.rules import clean_text
from services.payments import policies
from services.payments.events import ProviderAccountAdded, ProviderAccountChanged
from services.payments.providers import registry

NAME_CHARACTERS_MAX = 100
VALUE_CHARACTERS_MAX = 4_000
_CHANGE = Capability.STAFF_PAYMENTS_WRITE


class AccountNameTaken(Conflict):
    code = "provider_account_name_taken"
    title = "Another provider account has this name"


@dataclass(frozen=True, slots=True)
class AccountFields:
    """What staff says of an account. Which settings and secrets there are, the provider's file says."""

    provider: str
    name: str
    is_test: bool = False
    enabled: bool = True
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


async def add_account(
    uow: UnitOfWork, said: AccountFields, *, allowed: Collection[str] = ()
) -> ProviderAccount:
    """`allowed` are the `host:port` pairs of providers that may be private. In work across tenants.

    Raises Forbidden, AccountNameTaken, AddressRefused, and Invalid naming the field.
    """
    uow.actor.require(_CHANGE)
    name, settings, secrets = _checked(said, allowed)
    await _require_free(uow, name, but="")
    account_id = new_id("pacc")
    row = ProviderAccount(
        id=account_id,
        provider=said.provider,
        name=name,
        is_test=said.is_test,
        settings=settings,
        secrets=await _sealed(account_id, secrets),
        enabled=said.enabled,
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(
        ProviderAccountAdded(aggregate_id=row.id, organization_id=None, provider=row.provider, name=name)
    )
    return row


async def change_account(
    uow: UnitOfWork,
    account_id: str,
    said: AccountFields,
    *,
    version: int | None = None,
    allowed: Collection[str] = (),
) -> ProviderAccount:
    """Provider and `is_test` stay as they were. A secret that is not said stays. Other secrets, and other settings,
    which say where those go, need a recent proof.

    Raises Forbidden, ProofNeeded, NotFound, StaleVersion, AccountNameTaken, AddressRefused, and Invalid naming the
    field.
    """
    row = await policies.account_for(uow, account_id, _CHANGE, lock=True)
    if version is not None and row.version != version:
        raise await changed_meanwhile(uow, row.id, ProviderAccountChanged.type, what="account")
    if (said.provider, said.is_test) != (row.provider, row.is_test):
        raise Invalid("An account stays with its provider, and stays a test or a real one.", field="provider")
    known = await secrets_of(uow, row, Purpose.PROVIDER_CHANGED)
    name, settings, secrets = _checked(said, allowed, known=known)
    for fixed in sorted(registry.kind(row.provider).fixed):
        if settings.get(fixed) != row.settings.get(fixed):
            raise Invalid(f"{fixed} stays as it is: add another account.", field=f"settings.{fixed}")
    await _require_free(uow, name, but=row.id)
    if (secrets, settings) != (known, row.settings):
        require_recent_proof(uow)
    new: dict[str, Any] = {"name": name, "settings": settings, "enabled": said.enabled}
    changed = [field_name for field_name, value in new.items() if getattr(row, field_name) != value]
    for field_name in changed:
        setattr(row, field_name, new[field_name])
    if secrets != known:
        row.secrets = await _sealed(row.id, secrets)
        changed.append("secrets")
    if changed:
        row.version += 1
        uow.add(row)
        await uow.session.flush()
        uow.record(ProviderAccountChanged(aggregate_id=row.id, organization_id=None, changed=sorted(changed)))
    return row


async def switch_on(uow: UnitOfWork, account_id: str) -> None:
    """Have an account used that is not enabled. Raises Forbidden and NotFound."""
    row = await policies.account_for(uow, account_id, _CHANGE, lock=True)
    row.enabled = True
    row.version += 1
    uow.add(row)
    uow.record(ProviderAccountChanged(aggregate_id=row.id, organization_id=None, changed=["enabled"]))


async def secrets_of(uow: UnitOfWork, row: ProviderAccount, purpose: Purpose) -> dict[str, str]:
    """Raises CannotOpen for a value that was moved or sealed under a key this installation does not have."""
    if row.secrets is None:
        return {}
    return orjson.loads(await opened(uow, row.secrets, _place(row.id), purpose))


def _checked(
    said: AccountFields, allowed: Collection[str], known: Mapping[str, str] | None = None
) -> tuple[str, dict[str, str], dict[str, str]]:
    kind = registry.kind(said.provider)
    name = clean_text(said.name, field="name", what="The name", characters_max=NAME_CHARACTERS_MAX)
    settings = _values(said.settings, kind.settings, "settings")
    if "base" in settings:
        settings["base"] = checked_url(settings["base"], allowed=allowed)
    given = _values(said.secrets, kind.secrets, "secrets")
    secrets = dict(known or {}) | given
    for missing in sorted(kind.secrets - secrets.keys()):
        raise Invalid(f"{said.provider} needs {missing}.", field=f"secrets.{missing}")
    for missing in sorted(kind.settings - settings.keys() - kind.optional):
        raise Invalid(f"{said.provider} needs {missing}.", field=f"settings.{missing}")
    kind.check(settings, secrets, allowed)
    return name, settings, secrets


def _values(given: Mapping[str, str], known: frozenset[str], what: str) -> dict[str, str]:
    for name, value in given.items():
        if name not in known:
            raise Invalid(f"There is no {name!r} here: {', '.join(sorted(known))}.", field=f"{what}.{name}")
        lines = value.splitlines() or [value]  # certificates have several
        if not 1 <= len(value) <= VALUE_CHARACTERS_MAX or not all(one.isprintable() for one in lines):
            raise Invalid(f"{name} has 1 to {VALUE_CHARACTERS_MAX:,} characters.", field=f"{what}.{name}")
    return dict(given)


async def lock_names(uow: UnitOfWork) -> None:
    """Have nobody else add or name an account until this work ends."""
    await uow.execute("select pg_advisory_xact_lock(hashtextextended('provider_account', 44))")


async def _require_free(uow: UnitOfWork, name: str, *, but: str) -> None:
    await lock_names(uow)
    found = await uow.execute(
        "select from provider_account where name = :name and id <> :but", name=name, but=but
    )
    if found.first() is not None:
        raise AccountNameTaken(f"Another account is called {name!r}.", next_step="Choose another name.")


async def _sealed(account_id: str, secrets: Mapping[str, str]) -> bytes | None:
    if not secrets:
        return None
    return await vault().seal(orjson.dumps(dict(secrets)), _place(account_id))


def _place(account_id: str) -> Place:
    return Place(PLATFORM, "provider_account", "secrets", account_id)
