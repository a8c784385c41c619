"""Models and where they run, in memory: read at start, on a wake-up, and every so often."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from services.budgets import spending
from services.budgets.rules import Terms, Throttle
from services.catalog import queries as catalog
from services.catalog.rules import PriceBook
from services.core.crossing import Reason, crossing
from services.core.crypto import PLATFORM, CannotOpen, Place
from services.core.database import Database
from services.core.errors import MatrixError, Unavailable
from services.core.logs import get_logger
from services.core.openings import Purpose, opened
from services.core.outgoing import checked_url
from services.core.work import UnitOfWork
from services.gateway import rules
from services.gateway.orders import UPSTREAM_PATH, Endpoint

log = get_logger(__name__)

BUILTIN = "builtin"
OWNER = "matrix"  # as /v1/models names who runs the models
LOOKS_PER_MINUTE = 60  # for names that are not known: anyone may invent them

_Keys = dict[str, tuple[bytes, str]]  # what was opened, by upstream, and from which sealed value

_ROWS = """
select m.id, m.slug, m.name, m.description, m.upstream_model, m.endpoints, m.context_tokens, m.created_at,
  u.id as upstream_id, u.name as upstream_name, u.kind, u.base_url, u.api_key_sealed, u.connect_timeout_s,
  u.read_timeout_s, u.on_hangup
from model m join upstream u on u.id = m.upstream_id
where m.enabled and u.enabled
order by m.slug
"""


def key_place(upstream_id: str) -> Place:
    """Where an upstream's API key belongs: sealed for here, it opens nowhere else."""
    return Place(PLATFORM, "upstream", "api_key_sealed", upstream_id)


@dataclass(slots=True)
class Circuit:
    """Leaves an upstream alone after failures in a row, then lets one call probe it."""

    failures: int = 0
    open_until: float = 0.0
    probing: bool = False

    def closed_for(self, now: float) -> float:
        """Seconds until a call may be tried; 0 lets this one through (as the probe, after a break)."""
        if self.open_until == 0.0:
            return 0.0
        if now < self.open_until:
            return self.open_until - now
        if self.probing:
            return rules.CIRCUIT_OPEN_S
        self.probing = True
        return 0.0

    def succeeded(self) -> None:
        self.failures, self.open_until, self.probing = 0, 0.0, False

    def failed(self, now: float) -> None:
        self.failures += 1
        self.probing = False
        wait_s = rules.circuit_open_s(self.failures)
        self.open_until = now + wait_s if wait_s else 0.0

    def undecided(self) -> None:
        """The call ended for a reason that says nothing of the upstream, as when its caller left."""
        self.probing = False


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """An upstream, ready to be called. `base_url` ends before `/chat/completions`."""

    id: str
    name: str
    builtin: bool
    base_url: str
    headers: dict[str, str]
    connect_timeout_s: int
    read_timeout_s: int
    drains: bool  # read on to the end when the caller leaves, to learn the upstream's count
    circuit: Circuit
    _urls: dict[Endpoint, URL] = field(default_factory=dict[Endpoint, URL])

    def url(self, endpoint: Endpoint) -> URL:
        url = self._urls.get(endpoint)
        if url is None:
            url = self._urls[endpoint] = URL(self.base_url + UPSTREAM_PATH[endpoint])
        return url


@dataclass(frozen=True, slots=True)
class Route:
    """A model as clients name it and the upstream that answers for it."""

    slug: str
    name: str
    description: str
    upstream_model: str
    endpoints: frozenset[str]
    context_tokens: int
    created: int  # seconds since 1970, as OpenAI says it
    target: Target

    def as_openai(self) -> dict[str, Any]:
        """As /v1/models shows it."""
        return {"id": self.slug, "object": "model", "created": self.created, "owned_by": OWNER}

    def serves(self, endpoint: Endpoint) -> bool:
        return endpoint.value in self.endpoints


class Directory:
    """The routes of this process. `model_url` is where the built-in server answers."""

    def __init__(self, on: Database, *, model_url: str, allowed_private: frozenset[str]) -> None:
        self._on = on
        self._model_url = model_url.rstrip("/")
        self._allowed = allowed_private
        self._circuits: dict[str, Circuit] = {}
        self._keys: dict[
            str, tuple[bytes, str]
        ] = {}  # what was opened, by upstream, and from which sealed value
        self.routes: dict[str, Route] = {}
        self.prices = PriceBook()
        self.budgets: dict[str, tuple[Terms, ...]] = {}  # those that stop, by organisation
        self.throttles: dict[str, tuple[Throttle, ...]] = {}  # budgets that are used up and slow calls down
        self.loaded_at = 0.0
        self._looks = 0.0

    async def load(self) -> None:
        """Read everything again. Raises Unavailable; then what was known stays."""
        keys: _Keys = {}
        async with crossing(Reason.CATALOG, on=self._on) as uow:
            routes = await self._read(uow, keys)
            prices = await catalog.standing_book(uow, at=uow.wall_now)
            budgets, throttles = await spending.stopping(uow), await spending.throttling(uow)
        self.routes, self.prices = routes, prices
        self._keys = keys  # not before what was opened is on record
        self.budgets, self.throttles = budgets, throttles
        self.loaded_at = time.monotonic()

    async def look_up(self, slug: str) -> Route | None:
        """The route of a name, read once more if it is not known: word of a new model may still be on its way.

        While the database is away, or after too many unknown names, what is known decides.
        """
        if slug not in self.routes and self._may_look():
            with contextlib.suppress(Unavailable):
                await self.load()
        return self.routes.get(slug)

    def _may_look(self) -> bool:
        now, share = time.monotonic(), LOOKS_PER_MINUTE
        if not rules.judge(self._looks, now, cost=1, share=share, limit=share).allowed:
            return False
        self._looks = rules.take(self._looks, now, cost=1, share=share)
        return True

    async def _read(self, uow: UnitOfWork, keys: _Keys) -> dict[str, Route]:
        targets: dict[str, Target | None] = {}
        routes: dict[str, Route] = {}
        for row in await uow.execute(_ROWS):
            if row.upstream_id not in targets:
                targets[row.upstream_id] = await self._target(uow, row, keys)
            target = targets[row.upstream_id]
            if target is not None:
                routes[row.slug] = Route(
                    slug=row.slug,
                    name=row.name,
                    description=row.description,
                    upstream_model=row.upstream_model,
                    endpoints=frozenset(row.endpoints),
                    context_tokens=row.context_tokens,
                    created=int(row.created_at.timestamp()),
                    target=target,
                )
        return routes

    async def _key(self, uow: UnitOfWork, upstream_id: str, sealed: bytes | None, keys: _Keys) -> str:
        """Opened once, and anew when it was sealed anew: routes are read again and again. Noted in `keys`."""
        if not sealed:
            return ""
        known = self._keys.get(upstream_id)
        if known is None or known[0] != sealed:
            key = await opened(uow, sealed, key_place(upstream_id), Purpose.CALLS_ROUTED)
            known = (sealed, key.decode())
        keys[upstream_id] = known
        return known[1]

    async def _target(self, uow: UnitOfWork, row: Any, keys: _Keys) -> Target | None:
        """None, and a line in the log, when the upstream cannot be called as it stands."""
        builtin = row.kind == BUILTIN
        upstream_id: str = row.upstream_id
        try:
            base_url = (
                f"{self._model_url}/v1" if builtin else checked_url(row.base_url, allowed=self._allowed)
            )
            key = await self._key(uow, upstream_id, row.api_key_sealed, keys)
        except (MatrixError, CannotOpen) as error:
            log.error("upstream_unusable", upstream=upstream_id, error=str(error))
            return None
        # Packed answers would be unpacked here and sent on unpacked: ask for them as they are.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return Target(
            id=upstream_id,
            name=row.upstream_name,
            builtin=builtin,
            base_url=base_url,
            headers=headers,
            connect_timeout_s=row.connect_timeout_s,
            read_timeout_s=row.read_timeout_s,
            drains=row.on_hangup == "drain",
            circuit=self._circuits.setdefault(upstream_id, Circuit()),
        )
