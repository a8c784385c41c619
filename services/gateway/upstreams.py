"""Where models run and which models there are: verbs of the operator's console.

A change reaches every gateway process by a wake-up after commit, within milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy.dialects import postgresql

from models.gateway import AiModel, Upstream
from services.core.crypto import vault
from services.core.database import database
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import new_id
from services.core.outgoing import checked_url
from services.core.permissions import Capability
from services.core.wakeups import KEYS_CHANGED
from services.core.work import UnitOfWork
from services.gateway.directory import BUILTIN, key_place
from services.gateway.events import ModelAdded, ModelChanged, UpstreamAdded, UpstreamChanged
from services.gateway.orders import Endpoint
from services.identity.proof import require_recent_proof
from services.identity.queries import changed_meanwhile

TEXT_LENGTH_MAX = 120
DESCRIPTION_LENGTH_MAX = 2_000
TIMEOUT_S_MAX = 600
CONTEXT_TOKENS_MAX = 10_000_000
API_KEY_LENGTH_MAX = 2_000
_SLUG = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,99}")

BUILTIN_NAME = "Built-in server"
BUILTIN_UPSTREAM_MODEL = "smollm2-135m-instruct"
BUILTIN_CONTEXT_TOKENS = 2_048
BUILTIN_EMBEDDING_TOKENS = 512


@dataclass(frozen=True, slots=True)
class UpstreamFields:
    """What an operator says of an upstream. `on_hangup`: see models.gateway.Upstream."""

    name: str
    base_url: str
    connect_timeout_s: int = 5
    read_timeout_s: int = 120
    on_hangup: str = "drain"
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ModelFields:
    """What an operator says of a model. `slug` is the name clients use; it never changes once given."""

    slug: str
    name: str
    upstream_id: str
    upstream_model: str
    context_tokens: int
    endpoints: Sequence[str] = (Endpoint.CHAT.value, Endpoint.COMPLETIONS.value)
    description: str = ""
    enabled: bool = True


async def add_upstream(
    uow: UnitOfWork, given: UpstreamFields, *, api_key: str = "", allowed_private: Collection[str] = ()
) -> Upstream:
    """Add a server that speaks the OpenAI API. `uow` crosses tenants for staff.

    `allowed_private` are the host:port pairs that settings vouch for. Raises Forbidden, Invalid,
    AddressRefused, or Conflict when the name is taken.
    """
    uow.actor.require(Capability.STAFF_UPSTREAMS_WRITE)
    values = _checked_upstream(given, allowed_private)
    row = Upstream(id=new_id("ups"), kind="openai", created_at=uow.wall_now, **values)
    row.api_key_sealed = await _sealed(api_key, row.id)
    await _require_free_name(uow, row.name, row.id)
    uow.add(row)
    await uow.session.flush()
    uow.record(UpstreamAdded(aggregate_id=row.id, organization_id=None, name=row.name, base_url=row.base_url))
    _announce(uow)
    return row


async def update_upstream(
    uow: UnitOfWork,
    upstream_id: str,
    given: UpstreamFields,
    *,
    version: int,
    api_key: str | None = None,
    allowed_private: Collection[str] = (),
) -> Upstream:
    """Replace what is said of an upstream; `api_key` None keeps the key, "" removes it.

    Of the built-in one only timeouts, `on_hangup` and `enabled` can be changed. Another key, and another address, to
    which the kept one would go, need a recent proof. Raises StaleVersion and ProofNeeded, too.
    """
    row = await _upstream_for(uow, upstream_id, version)
    if row.kind == BUILTIN:
        given = UpstreamFields(
            row.name, "", given.connect_timeout_s, given.read_timeout_s, given.on_hangup, given.enabled
        )
        values = _checked_reach(given) | {"name": row.name, "base_url": ""}
        api_key = None
    else:
        values = _checked_upstream(given, allowed_private)
        await _require_free_name(uow, values["name"], row.id)
    if api_key is not None or values["base_url"] != row.base_url:
        require_recent_proof(uow)
    changed = _apply(row, values)
    if api_key is not None:
        row.api_key_sealed = await _sealed(api_key, row.id)
        changed.append("api_key")
    if changed:
        row.version += 1
        uow.record(UpstreamChanged(aggregate_id=row.id, organization_id=None, changed=changed))
        _announce(uow)
    return row


async def add_model(uow: UnitOfWork, given: ModelFields) -> AiModel:
    """Offer a model to clients. Raises Forbidden, Invalid, NotFound (upstream), Conflict (slug taken)."""
    uow.actor.require(Capability.STAFF_UPSTREAMS_WRITE)
    if not _SLUG.fullmatch(given.slug):
        raise Invalid(
            f"{given.slug[:100]!r} cannot name a model.",
            field="slug",
            next_step="Use up to 100 of a-z, 0-9, '.', '_', ':', '/', '-', beginning with a letter or digit.",
        )
    values = await _checked_model(uow, given)
    if (await uow.execute("select from model where slug = :slug", slug=given.slug)).first() is not None:
        raise Conflict(f"There is a model {given.slug!r} already.", next_step="Choose another name.")
    row = AiModel(id=new_id("model"), slug=given.slug, created_at=uow.wall_now, **values)
    uow.add(row)
    await uow.session.flush()
    uow.record(
        ModelAdded(aggregate_id=row.id, organization_id=None, slug=row.slug, upstream_id=row.upstream_id)
    )
    _announce(uow)
    return row


async def update_model(uow: UnitOfWork, model_id: str, given: ModelFields, *, version: int) -> AiModel:
    """Replace what is said of a model, except its slug. Raises Forbidden, Invalid, NotFound, StaleVersion."""
    uow.actor.require(Capability.STAFF_UPSTREAMS_WRITE)
    row = await uow.get(AiModel, model_id, lock=True)
    if row is None:
        raise not_found("model", model_id)
    if row.version != version:
        raise await changed_meanwhile(uow, row.id, ModelChanged.type, what="model")
    changed = _apply(row, await _checked_model(uow, given))
    if changed:
        row.version += 1
        uow.record(ModelChanged(aggregate_id=row.id, organization_id=None, slug=row.slug, changed=changed))
        _announce(uow)
    return row


async def ensure_builtin(uow: UnitOfWork) -> None:
    """Have the built-in upstream and its models in the tables. Changes nothing that is there already.

    Call at start-up after migrating, in `crossing(Reason.CATALOG)`.
    """
    await uow.execute("select pg_advisory_xact_lock(hashtextextended('gateway builtin', 0))")
    found = await uow.execute(
        "select id from upstream where kind = 'builtin' order by created_at, id limit 1"
    )
    upstream_id = found.scalar_one_or_none()
    if upstream_id is None:
        upstream_id = new_id("ups")
        # The built-in server has few places and stops at once when a caller leaves, and counts as it goes.
        uow.add(
            Upstream(
                id=upstream_id, name=BUILTIN_NAME, kind=BUILTIN, on_hangup="cancel", created_at=uow.wall_now
            )
        )
        await uow.session.flush()
    for given in _builtin_models(upstream_id):
        values = {field.name: getattr(given, field.name) for field in fields(given)}
        values |= {"id": new_id("model"), "endpoints": list(given.endpoints), "created_at": uow.wall_now}
        await uow.execute(
            postgresql.insert(AiModel)
            .values(**values, version=1)
            .on_conflict_do_nothing(index_elements=["slug"])
        )
    _announce(uow)


def _builtin_models(upstream_id: str) -> tuple[ModelFields, ...]:
    return (
        ModelFields(
            slug="smollm2-135m",
            name="SmolLM2 135M Instruct",
            description="A small language model that runs on this machine. Quick, private, and often wrong.",
            upstream_id=upstream_id,
            upstream_model=BUILTIN_UPSTREAM_MODEL,
            context_tokens=BUILTIN_CONTEXT_TOKENS,
        ),
        ModelFields(
            slug="smollm2-135m-embeddings",
            name="SmolLM2 135M embeddings",
            description="576 numbers for a text of up to 512 tokens, made on this machine.",
            upstream_id=upstream_id,
            upstream_model=BUILTIN_UPSTREAM_MODEL,
            context_tokens=BUILTIN_EMBEDDING_TOKENS,
            endpoints=(Endpoint.EMBEDDINGS.value,),
        ),
    )


async def _upstream_for(uow: UnitOfWork, upstream_id: str, version: int) -> Upstream:
    uow.actor.require(Capability.STAFF_UPSTREAMS_WRITE)
    row = await uow.get(Upstream, upstream_id, lock=True)
    if row is None:
        raise not_found("upstream", upstream_id)
    if row.version != version:
        raise await changed_meanwhile(uow, row.id, UpstreamChanged.type, what="upstream")
    return row


def _checked_upstream(given: UpstreamFields, allowed_private: Collection[str]) -> dict[str, Any]:
    base_url = checked_url(given.base_url.strip(), allowed=allowed_private)
    return _checked_reach(given) | {"name": _text(given.name, "name"), "base_url": base_url}


def _checked_reach(given: UpstreamFields) -> dict[str, Any]:
    if given.on_hangup not in ("cancel", "drain"):
        raise Invalid("'on_hangup' is 'cancel' or 'drain'.", field="on_hangup")
    return {
        "connect_timeout_s": _within(given.connect_timeout_s, 1, 60, "connect_timeout_s"),
        "read_timeout_s": _within(given.read_timeout_s, 1, TIMEOUT_S_MAX, "read_timeout_s"),
        "on_hangup": given.on_hangup,
        "enabled": given.enabled,
    }


async def _checked_model(uow: UnitOfWork, given: ModelFields) -> dict[str, Any]:
    known = {endpoint.value for endpoint in Endpoint}
    if not given.endpoints or not set(given.endpoints) <= known:
        raise Invalid("A model serves one or more of chat, completions and embeddings.", field="endpoints")
    if await uow.get(Upstream, given.upstream_id) is None:
        raise not_found("upstream", given.upstream_id)
    if len(given.description) > DESCRIPTION_LENGTH_MAX or "\0" in given.description:
        raise Invalid(
            f"The description has more than {DESCRIPTION_LENGTH_MAX} characters.", field="description"
        )
    return {
        "name": _text(given.name, "name"),
        "description": given.description.strip(),
        "upstream_id": given.upstream_id,
        "upstream_model": _text(given.upstream_model, "upstream_model"),
        "endpoints": sorted(set(given.endpoints)),
        "context_tokens": _within(given.context_tokens, 1, CONTEXT_TOKENS_MAX, "context_tokens"),
        "enabled": given.enabled,
    }


def _text(value: str, field: str) -> str:
    text = value.strip()
    if not 0 < len(text) <= TEXT_LENGTH_MAX or not text.isprintable():
        raise Invalid(f"'{field}' has 1 to {TEXT_LENGTH_MAX} printable characters.", field=field)
    return text


def _within(value: int, low: int, high: int, field: str) -> int:
    if not low <= value <= high:
        raise Invalid(f"'{field}' lies between {low:,} and {high:,}, not at {value:,}.", field=field)
    return value


async def _sealed(api_key: str, upstream_id: str) -> bytes | None:
    api_key = api_key.strip()
    if not api_key:
        return None
    if len(api_key) > API_KEY_LENGTH_MAX or not api_key.isascii() or not api_key.isprintable():
        raise Invalid("The API key holds characters that no HTTP header can carry.", field="api_key")
    return await vault().seal(api_key.encode(), key_place(upstream_id))


def _apply(row: Upstream | AiModel, values: dict[str, Any]) -> list[str]:
    """Set what differs, and name it."""
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    return changed


async def _require_free_name(uow: UnitOfWork, name: str, own_id: str) -> None:
    taken = await uow.execute("select from upstream where name = :name and id <> :id", name=name, id=own_id)
    if taken.first() is not None:
        raise Conflict(f"There is an upstream called {name!r} already.", next_step="Choose another name.")


def _announce(uow: UnitOfWork) -> None:
    wakeups = database().wakeups
    uow.after_commit(lambda: wakeups.poke(KEYS_CHANGED, "catalog"))
