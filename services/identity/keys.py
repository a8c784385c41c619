"""API keys: making, changing, replacing and ending them, and finding one by its secret.

The secret is returned once, by the verb that makes it; only a keyed hash is stored. Validity follows wall
time, whatever clock the organisation bills by.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import Enum

from models.gateway import ApiKey
from services.core.crypto import vault
from services.core.database import database
from services.core.errors import Conflict, Forbidden, Invalid, StaleVersion
from services.core.ids import is_id, new_id
from services.core.permissions import SCOPE_CAPABILITIES, Capability, capabilities_of_scopes
from services.core.wakeups import KEYS_CHANGED
from services.core.work import UnitOfWork
from services.identity import policies, rules
from services.identity.events import ApiKeyCreated, ApiKeyRevoked, ApiKeyRotated, ApiKeyUpdated

KEY_STARTS_WITH = "mx-"
SECRET_CHARACTERS = 40  # of 62 kinds: 238 bits
SHOWN_CHARACTERS = 9  # of the secret, by which people recognise a key
ACTIVE_KEYS_MAX = 200  # of one organisation
OVERLAP_HOURS_MAX = 168
SLUG_CHARACTERS_MAX = 200
PER_MINUTE_MAX = 1_000_000_000
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a key may do in a minute; None leaves it to the organisation's own limits."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """`secret` is shown to whoever asked for the key and can never be read again."""

    key: ApiKey
    secret: str


async def create_key(
    uow: UnitOfWork,
    *,
    name: str,
    scopes: Sequence[str] = ("inference",),
    models: Sequence[str] = (),
    limits: Limits | None = None,
    expires_at: datetime | None = None,
    project_id: str | None = None,
    service_account_id: str | None = None,
) -> CreatedKey:
    """A key of the actor's organisation. `models` are slugs; none means every model.

    Its project and service account are its own for life. A key that asks for another has its own ones go on to it.
    Raises Forbidden when a scope would give the key more than the actor or the service account has, Invalid, NotFound,
    or Conflict when the organisation has its fill of keys, and for what was archived or disabled.
    """
    uow.actor.require(Capability.KEYS_WRITE)
    _require_scopes(uow, scopes)
    await policies.hold_organization(uow)
    own = await _own_key(uow)
    if own is not None:
        project_id = project_id or own.project_id
        service_account_id = service_account_id or own.service_account_id
    await policies.require_home_for_key(uow, scopes, project_id, service_account_id)
    if expires_at is not None and expires_at <= uow.wall_now:
        raise Invalid("The expiry lies in the past.", field="expires_at", next_step="Choose a later time.")
    limits = limits or Limits()
    _require_limits(limits)
    row = ApiKey(
        id="",
        organization_id=uow.organization_id,
        name=rules.clean_text(name, field="name", what="The name"),
        prefix="",
        secret_hash=b"",
        scopes=sorted(set(scopes)),
        models=await _known_models(uow, models),
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        expires_at=expires_at,
        project_id=project_id,
        service_account_id=service_account_id,
        created_at=uow.wall_now,
    )
    await _require_own_rights(uow, row)
    created = await _issue(uow, row)
    uow.record(
        ApiKeyCreated(
            aggregate_id=row.id,
            organization_id=row.organization_id,
            name=row.name,
            prefix=row.prefix,
            scopes=row.scopes,
        )
    )
    return created


async def rotate_key(uow: UnitOfWork, key_id: str, *, overlap_hours: int = 24) -> CreatedKey:
    """A new key in place of an old one, with the same rights. The old one works for `overlap_hours` more.

    An older expiry of the old key stands; zero hours end it at once. Raises Conflict for a key that has
    ended, Forbidden when the key may do more than the actor, NotFound.
    """
    if not 0 <= overlap_hours <= OVERLAP_HOURS_MAX:
        raise Invalid(
            f"The overlap is {overlap_hours} hours.",
            field="overlap_hours",
            next_step=f"Use 0 to {OVERLAP_HOURS_MAX}.",
        )
    uow.actor.require(Capability.KEYS_WRITE)
    await policies.hold_organization(uow)
    old = await policies.key_for(uow, key_id, Capability.KEYS_WRITE, lock=True)
    _require_active(old, uow.wall_now)
    _require_scopes(uow, old.scopes)
    await _require_own_rights(uow, old)
    await policies.require_home_for_key(uow, old.scopes, old.project_id, old.service_account_id)
    old_expires_at = uow.wall_now + timedelta(hours=overlap_hours)
    if old.expires_at is not None:
        old_expires_at = min(old.expires_at, old_expires_at)
    new = ApiKey(
        **old.model_dump(
            include={
                "organization_id",
                "name",
                "scopes",
                "models",
                "requests_per_minute",
                "tokens_per_minute",
                "expires_at",
                "project_id",
                "service_account_id",
            }
        ),
        id="",
        prefix="",
        secret_hash=b"",
        replaces_id=old.id,
        created_at=uow.wall_now,
    )
    created = await _issue(uow, new)
    old.expires_at = old_expires_at
    old.version += 1
    uow.record(
        ApiKeyRotated(
            aggregate_id=old.id,
            organization_id=old.organization_id,
            new_key_id=new.id,
            old_expires_at=old_expires_at,
        )
    )
    announce(uow, old.id)
    return created


class Unset(Enum):
    """What stays as it is, where None is a value of its own."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """What to change of a key. A name or models of None stay, a limit of None is lifted."""

    name: str | None = None
    models: Sequence[str] | None = None
    requests_per_minute: int | Unset | None = UNSET
    tokens_per_minute: int | Unset | None = UNSET

    def limits(self, now: ApiKey) -> Limits:
        """The limits that `now`, read under its lock, is to have."""
        return Limits(
            now.requests_per_minute if self.requests_per_minute is UNSET else self.requests_per_minute,
            now.tokens_per_minute if self.tokens_per_minute is UNSET else self.tokens_per_minute,
        )


async def update_key(
    uow: UnitOfWork, key_id: str, changes: KeyChanges, *, version: int | None = None
) -> ApiKey:
    """Change a key that has not ended. Changing nothing records nothing.

    Raises StaleVersion when `version` is not the row's, Conflict for an ended key, NotFound, Invalid.
    """
    row = await policies.key_for(uow, key_id, Capability.KEYS_WRITE, lock=True)
    _require_active(row, uow.wall_now)
    _require_version(row, version)
    wanted: dict[str, object] = {}
    if changes.name is not None:
        wanted["name"] = rules.clean_text(changes.name, field="name", what="The name")
    if changes.models is not None:
        wanted["models"] = await _known_models(uow, changes.models)
    limits = changes.limits(row)
    _require_limits(limits)
    wanted |= asdict(limits)
    changed = [name for name, value in wanted.items() if getattr(row, name) != value]
    own = await _own_key(uow) if set(changed) - {"name"} else None
    bounds = _Bounds.of(own) if own else None
    for name in changed:
        setattr(row, name, wanted[name])
    if bounds is not None:
        bounds.require(row)
    if changed:
        row.version += 1
        uow.record(ApiKeyUpdated(aggregate_id=row.id, organization_id=row.organization_id, changed=changed))
        announce(uow, row.id)
    return row


async def revoke_key(uow: UnitOfWork, key_id: str, *, version: int | None = None) -> ApiKey:
    """End a key at once and for good. Revoking twice changes nothing.

    Raises NotFound, StaleVersion when `version` is not the row's.
    """
    row = await policies.key_for(uow, key_id, Capability.KEYS_WRITE, lock=True)
    _require_version(row, version)
    if row.revoked_at is None:
        row.revoked_at = uow.wall_now
        row.version += 1
        uow.record(ApiKeyRevoked(aggregate_id=row.id, organization_id=row.organization_id, name=row.name))
        announce(uow, row.id)
    return row


def _require_version(row: ApiKey, version: int | None) -> None:
    if version is not None and version != row.version:
        raise StaleVersion("Somebody changed the key meanwhile.", next_step="Read it again.")


async def _issue(uow: UnitOfWork, row: ApiKey) -> CreatedKey:
    """Give a new row its identity and secret and store it, if there is room for one more key.

    The caller holds the organisation.
    """
    active = await uow.execute(
        "select count(*) from api_key where organization_id = :id and revoked_at is null"
        " and (expires_at is null or expires_at > :now)",
        id=row.organization_id,
        now=uow.wall_now,
    )
    if active.scalar_one() >= ACTIVE_KEYS_MAX:
        raise Conflict(
            f"The organisation has {ACTIVE_KEYS_MAX} active keys, which is the most.",
            next_step="Revoke keys that are not used any more.",
            code="too_many_keys",
        )
    secret = KEY_STARTS_WITH + "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_CHARACTERS))
    row.id = new_id("apikey")
    row.prefix = secret[:SHOWN_CHARACTERS]
    row.secret_hash = vault().lookup_hash(secret)
    row.created_by = uow.actor.account_id
    uow.add(row)
    await uow.session.flush()
    return CreatedKey(row, secret)


def _require_scopes(uow: UnitOfWork, scopes: Sequence[str]) -> None:
    if not scopes:
        raise Invalid("The key has no scope.", field="scopes", next_step="Choose at least one.")
    unknown = [scope for scope in scopes if scope not in SCOPE_CAPABILITIES]
    if unknown:
        raise Invalid(
            f"There is no scope {unknown[0][:64]!r}.",
            field="scopes",
            next_step=f"Use some of: {', '.join(SCOPE_CAPABILITIES)}.",
        )
    # Otherwise a key that may only write keys could make itself one that may do everything.
    excess = capabilities_of_scopes(frozenset(scopes)) - uow.actor.capabilities
    if excess:
        raise Forbidden(
            f"The key would be allowed what you are not: {', '.join(sorted(excess))}.",
            next_step="Leave out those scopes, or ask somebody who has these permissions.",
        )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a key that looks after keys may give to any of them, itself included: no more than it has."""

    models: frozenset[str]
    limits: tuple[int | None, int | None]

    @classmethod
    def of(cls, own: ApiKey) -> _Bounds:
        return cls(frozenset(own.models), (own.requests_per_minute, own.tokens_per_minute))

    def require(self, wanted: ApiKey) -> None:
        """Raises Forbidden."""
        if self.models and not (wanted.models and self.models.issuperset(wanted.models)):
            raise _more_than_own("models")
        for own, given in zip(
            self.limits, (wanted.requests_per_minute, wanted.tokens_per_minute), strict=True
        ):
            if own is not None and (given is None or given > own):
                raise _more_than_own("calls or tokens a minute")


async def _require_own_rights(uow: UnitOfWork, wanted: ApiKey) -> None:
    """Raises Forbidden when a key asks for one that may do more, or for longer, than itself."""
    own = await _own_key(uow)
    if own is None:
        return
    _Bounds.of(own).require(wanted)
    if own.expires_at is not None and (wanted.expires_at is None or wanted.expires_at > own.expires_at):
        raise _more_than_own("time")
    # Else it would outlive the end of its project, or the disabling of its service account.
    for home in ("project_id", "service_account_id"):
        if getattr(own, home) is not None and getattr(wanted, home) != getattr(own, home):
            raise _more_than_own("places to work in")


async def _own_key(uow: UnitOfWork) -> ApiKey | None:
    """The key that acts; None when a person does."""
    return await uow.get(ApiKey, uow.actor.id) if is_id(uow.actor.id, "apikey") else None


def _more_than_own(what: str) -> Forbidden:
    return Forbidden(
        f"The key would be allowed more {what} than the key that asks for it.",
        next_step="Ask for no more than it has, or sign in.",
    )


def _require_limits(limits: Limits) -> None:
    for field in ("requests_per_minute", "tokens_per_minute"):
        value: int | None = getattr(limits, field)
        if value is not None and not 1 <= value <= PER_MINUTE_MAX:
            raise Invalid(
                f"A limit of {value} a minute is not possible.",
                field=field,
                next_step=f"Use 1 to {PER_MINUTE_MAX:,}, or none.",
            )


def _require_active(key: ApiKey, now: datetime) -> None:
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise Conflict(
            f"The key {key.name!r} has ended.", next_step="Create a new key.", code="key_has_ended"
        )


async def _known_models(uow: UnitOfWork, slugs: Sequence[str]) -> list[str]:
    wanted = sorted(set(slugs))
    for slug in wanted:
        rules.refuse_unprintable(slug[:SLUG_CHARACTERS_MAX], field="models", what="The model's name")
        if len(slug) > SLUG_CHARACTERS_MAX:
            raise Invalid(
                "No model has a name that long.", field="models", next_step="See the list of models."
            )
    found = await uow.execute("select slug from model where slug = any(:slugs)", slugs=wanted)
    unknown = set(wanted) - set(found.scalars())
    if unknown:
        raise Invalid(
            f"There is no model {min(unknown)[:64]!r}.",
            field="models",
            next_step="See the list of models.",
            code="unknown_model",
        )
    return wanted


def announce(uow: UnitOfWork, key_id: str) -> None:
    """Have every process read the key again before its next call."""
    wakeups = database().wakeups
    uow.after_commit(lambda: wakeups.poke(KEYS_CHANGED, key_id))


async def touch_last_used(uow: UnitOfWork, used: Mapping[str, datetime]) -> None:
    """Note when keys were last used, many at once. `uow` crosses tenants or is bound to theirs."""
    if not used:
        return
    ordered = sorted(used.items())  # two processes that note the same keys lock them in the same order
    await uow.execute(
        "update api_key k set last_used_at = u.at from ("
        "  select k.id, u.at from unnest(cast(:ids as text[]), cast(:times as timestamptz[])) as u(id, at)"
        "  join api_key k on k.id = u.id where k.last_used_at is null or k.last_used_at < u.at"
        "  order by k.id for update of k"
        ") as u where k.id = u.id",
        ids=[key_id for key_id, _ in ordered],
        times=[at for _, at in ordered],
    )
