"""API keys of the organisation one works in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.shape import Body, Instant, Shown, resource
from services.core.work import UnitOfWork, unit_of_work
from services.identity import key_queries, keys
from services.identity.keys import CreatedKey, KeyChanges, Limits

router = resource("keys", prefix="/keys")

PerMinute = Annotated[int | None, Field(ge=1, le=keys.PER_MINUTE_MAX)]
MODELS_MAX = 200


class KeyShown(Shown):
    """A key, without its secret, which nobody can read again."""

    id: str
    name: str
    prefix: str = Field(description="First characters of the secret, to recognise it by")
    scopes: list[str]
    models: list[str] = Field(description="Slugs; empty means every model")
    requests_per_minute: int | None
    tokens_per_minute: int | None
    status: Literal["active", "expiring", "expired", "revoked", "disabled"] = Field(
        description="`disabled` with its service account"
    )
    expires_at: AwareDatetime | None
    last_used_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    replaces_id: str | None
    created_by: str | None
    created_by_name: str
    project_id: str | None
    project_name: str
    service_account_id: str | None
    service_account_name: str
    created_at: AwareDatetime
    version: int


class KeyWithSecret(KeyShown):
    secret: str = Field(description="Shown this once; store it now")


class NewKey(Body):
    name: str
    scopes: list[str] = Field(["inference"], max_length=20)
    models: list[str] = Field([], max_length=MODELS_MAX, description="Slugs; empty means every model")
    requests_per_minute: PerMinute = None
    tokens_per_minute: PerMinute = None
    expires_at: Instant | None = None
    project_id: str | None = Field(None, max_length=100, description="For the key's whole life")
    service_account_id: str | None = Field(
        None, max_length=100, description="Acts for this service account, at most as far as its role goes"
    )


class ChangedKey(Body):
    """What is left out stays; a limit of null is lifted."""

    name: str | None = None
    models: list[str] | None = Field(None, max_length=MODELS_MAX)
    requests_per_minute: PerMinute = None
    tokens_per_minute: PerMinute = None
    version: int | None = Field(None, description="Refuse if somebody changed the key since this version")


class Rotation(Body):
    """How long the old key goes on working."""

    overlap_hours: Annotated[int, Field(ge=0, le=keys.OVERLAP_HOURS_MAX)] = 24


@router.get("", **listed(key_queries.KEYS, KeyShown))
async def list_keys(request: Request, who: Member, asked: Asked) -> Answer:
    """Keys, newest first."""
    return await answer(request, key_queries.KEYS, KeyShown, asked, lambda: unit_of_work(who.actor))


@router.post("", status_code=201, response_model=KeyWithSecret)
async def create_key(who: Member, body: NewKey, repeat: RepeatOnce) -> Response:
    """Make a key. Its secret is in this answer and nowhere else."""

    async def create(uow: UnitOfWork) -> KeyWithSecret:
        created = await keys.create_key(
            uow,
            name=body.name,
            scopes=body.scopes,
            models=body.models,
            limits=Limits(body.requests_per_minute, body.tokens_per_minute),
            expires_at=body.expires_at,
            project_id=body.project_id,
            service_account_id=body.service_account_id,
        )
        return await _with_secret(uow, created)

    return await repeat.once(unit_of_work(who.actor), create, owner=who.actor.organization_id or "")


async def _with_secret(uow: UnitOfWork, created: CreatedKey) -> KeyWithSecret:
    shown = asdict(await key_queries.get_key(uow, created.key.id))
    return KeyWithSecret.model_validate(shown | {"secret": created.secret})


@router.get("/{key_id}")
async def get_key(who: Member, key_id: str) -> KeyShown:
    """One key."""
    async with unit_of_work(who.actor) as uow:
        return await _shown(uow, key_id)


async def _shown(uow: UnitOfWork, key_id: str) -> KeyShown:
    return KeyShown.model_validate(await key_queries.get_key(uow, key_id))


@router.patch("/{key_id}")
async def update_key(who: Member, key_id: str, body: ChangedKey, expected: IfMatch) -> KeyShown:
    """Change name, models or limits."""
    # Null lifts a limit and leaving it out keeps it, so what was sent must be told from what was not.
    sent = body.model_dump(include={"requests_per_minute", "tokens_per_minute"}, exclude_unset=True)
    changes = KeyChanges(name=body.name, models=body.models, **sent)
    version = expected.version(body.version)
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _shown(uow, key_id)):
        await keys.update_key(uow, key_id, changes, version=version)
        return await _shown(uow, key_id)


@router.post("/{key_id}/rotate", status_code=201, response_model=KeyWithSecret)
async def rotate_key(who: Member, key_id: str, repeat: RepeatOnce, body: Rotation | None = None) -> Response:
    """Make a key in place of this one, which goes on working for a while."""

    async def rotate(uow: UnitOfWork) -> KeyWithSecret:
        hours = (body or Rotation()).overlap_hours
        return await _with_secret(uow, await keys.rotate_key(uow, key_id, overlap_hours=hours))

    return await repeat.once(unit_of_work(who.actor), rotate, owner=who.actor.organization_id or "")


@router.delete("/{key_id}")
async def revoke_key(who: Member, key_id: str, expected: IfMatch) -> KeyShown:
    """End a key at once and for good."""
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _shown(uow, key_id)):
        await keys.revoke_key(uow, key_id, version=expected.version())
        return await _shown(uow, key_id)
