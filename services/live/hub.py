"""The live hub of one web process: what many people watch is read once, serialised once, sent to all.

A topic is an organisation, a view and the capabilities that shape it. Changes make it dirty; while
somebody listens it is read again at once on the first change and then at most every 100 ms. Sockets are
told only that there is a newer version and fetch the text when they can, so slow readers skip versions and
nothing queues. docs/decisions/0006-live-hub.md has the measurements that led here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime

import orjson
import sqlalchemy as sa

from services.core import metrics
from services.core.actor import Actor
from services.core.clock import Clock, SystemClock
from services.core.crossing import Reason, crossing
from services.core.database import Database, libpq_url
from services.core.errors import Forbidden, NotFound, Unavailable
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.wakeups import (
    CHAINS_READ,
    EVENTS_POSITIONED,
    NOTICES_CHANGED,
    TASKS_CHANGED,
    USAGE_CHANGED,
    listen,
)
from services.core.work import UnitOfWork, unit_of_work
from services.live.views import VIEWS, View

log = get_logger(__name__)

REFRESH_S_MIN = 0.100
RETRY_S = 1.0
POLL_S = 15.0
EVENTS_READ_MAX = 1_000

# Events after which somebody may no longer watch what they watched.
ACCESS_EVENTS = ("membership.", "session.", "organization.suspended", "account.suspended")


@dataclass(frozen=True, slots=True)
class TopicKey:
    organization_id: str
    view: str
    capabilities: frozenset[Capability]
    account_id: str = ""  # whose it is alone, for a personal view


@dataclass(slots=True, eq=False)
class Topic:
    """`version` only grows, also over restarts and between processes: it is microseconds of wall time."""

    key: TopicKey
    view: View
    version: int = 0
    text: str = ""
    behind_since: datetime | None = None
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    watchers: set[Watcher] = field(default_factory=set["Watcher"])
    reader: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class Watcher:
    """One connection: which topics it follows and which versions it has been sent."""

    actor: Actor
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    recheck: asyncio.Event = field(default_factory=asyncio.Event)
    sent: dict[Topic, int] = field(default_factory=dict[Topic, int])

    def take(self) -> list[str]:
        """Texts newer than what was sent, each topic's latest only."""
        fresh = [topic for topic, version in self.sent.items() if topic.version > version]
        for topic in fresh:
            self.sent[topic] = topic.version
        return [topic.text for topic in fresh]

    def behind(self) -> dict[str, str]:
        """View → since when it could not be read."""
        return {t.view.name: t.behind_since.isoformat() for t in self.sent if t.behind_since is not None}


class Hub:
    """Topics of one process. Use within one event loop."""

    def __init__(
        self, on: Database, *, views: Mapping[str, View] = VIEWS, clock: Clock | None = None
    ) -> None:
        self._database = on
        self._views = views
        self._clock = clock or SystemClock()
        self._topics: dict[TopicKey, Topic] = {}
        self._watchers: set[Watcher] = set()
        self._position: int | None = None
        self.listening = asyncio.Event()  # set once no change or event can be missed any more

    async def run(self) -> None:
        """Until cancelled: hear what changed, in this process or another, and refresh what is watched."""
        url = libpq_url(self._database.url)
        channels = (USAGE_CHANGED, TASKS_CHANGED, CHAINS_READ, NOTICES_CHANGED, EVENTS_POSITIONED)
        async for channel, payload in listen(url, *channels, poll_s=POLL_S):
            if channel in (USAGE_CHANGED, TASKS_CHANGED, CHAINS_READ):
                self._changed(payload.split(","))
                continue
            if channel == NOTICES_CHANGED:
                self._told(payload.split(","))
                continue
            try:
                while await self._read_events() == EVENTS_READ_MAX:
                    pass
            except Unavailable as error:
                log.warning("live_events_not_read", error=error.message)
            if channel == "":
                self._changed({key.organization_id for key in self._topics})
                self._told({key.account_id for key in self._topics})
            if self._position is not None:
                self.listening.set()

    def join(self, actor: Actor) -> Watcher:
        watcher = Watcher(actor)
        self._watchers.add(watcher)
        metrics.LIVE_SOCKETS.inc()
        return watcher

    def leave(self, watcher: Watcher) -> None:
        for topic in list(watcher.sent):
            self.unsubscribe(watcher, topic)
        self._watchers.discard(watcher)
        metrics.LIVE_SOCKETS.dec()

    def subscribe(self, watcher: Watcher, view_name: str) -> Topic:
        """Follow a view of the watcher's organisation. Raises NotFound and Forbidden."""
        view = self._views.get(view_name)
        if view is None or watcher.actor.organization_id is None:
            raise NotFound(f"There is no live view {view_name!r}.")
        if not watcher.actor.may(view.needs):
            raise Forbidden(f"Your role may not watch {view_name!r}.", permission=view.needs.value)
        key = TopicKey(
            watcher.actor.organization_id,
            view.name,
            frozenset({view.needs} | (view.shapes & watcher.actor.capabilities)),
            (watcher.actor.account_id or "") if view.personal else "",
        )
        topic = self._topics.setdefault(key, Topic(key, view))
        topic.watchers.add(watcher)
        watcher.sent.setdefault(topic, 0)
        if topic.reader is None:
            topic.dirty.set()
            topic.reader = asyncio.create_task(self._keep_fresh(topic), name=f"live {view.name}")
        elif topic.version:
            watcher.wake.set()
        return topic

    def unsubscribe(self, watcher: Watcher, topic: Topic) -> None:
        watcher.sent.pop(topic, None)
        topic.watchers.discard(watcher)
        if not topic.watchers and topic.reader is not None:
            topic.reader.cancel()
            self._topics.pop(topic.key, None)

    def _changed(self, organizations: Iterable[str]) -> None:
        touched = set(organizations)
        for key, topic in self._topics.items():
            if key.organization_id in touched and not topic.view.personal:
                topic.dirty.set()

    def _happened(self) -> None:
        for topic in self._topics.values():
            if topic.view.everywhere:
                topic.dirty.set()

    def _told(self, accounts: Iterable[str]) -> None:
        touched = set(accounts)
        for key, topic in self._topics.items():
            if topic.view.personal and key.account_id in touched:
                topic.dirty.set()

    async def _keep_fresh(self, topic: Topic) -> None:
        while True:
            await topic.dirty.wait()
            topic.dirty.clear()
            try:
                await self._refresh(topic)
            except Exception as error:
                # Whatever it is, the watchers are told that they look at old figures, and it is tried again.
                topic.behind_since = topic.behind_since or self._clock.now()
                log.error("live_view_behind", view=topic.view.name, exc_info=error)
                topic.dirty.set()
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(REFRESH_S_MIN)

    async def _refresh(self, topic: Topic) -> None:
        key = topic.key
        reader = Actor("live", key.organization_id, key.capabilities, account_id=key.account_id or None)
        async with self._work(topic.view, reader) as uow:
            data = await topic.view.read(uow)
        topic.behind_since = None
        topic.version = max(topic.version + 1, int(uow.wall_now.timestamp() * 1_000_000))
        message = {"topic": topic.view.name, "version": topic.version, "at": uow.wall_now, "data": data}
        topic.text = orjson.dumps(message, default=str, option=orjson.OPT_UTC_Z).decode()
        metrics.LIVE_PUBLISHED.labels(topic.view.name).inc()
        for watcher in topic.watchers:
            watcher.wake.set()

    def _work(self, view: View, reader: Actor) -> AbstractAsyncContextManager[UnitOfWork]:
        if view.personal or view.everywhere:
            reason = Reason.NOTICES if view.personal else Reason.LIVE
            return crossing(reason, actor=reader, on=self._database, clock=self._clock)
        return unit_of_work(reader, on=self._database, clock=self._clock)

    async def _read_events(self) -> int:
        """Learn from the event log which organisations changed and whose access did."""
        async with crossing(Reason.LIVE, on=self._database) as uow:
            if self._position is None:
                self._position = (
                    await uow.execute("select coalesce(max(position), 0) from event")
                ).scalar_one()
            rows = (await uow.execute(_EVENTS_AFTER, after=self._position)).all()
        if rows:
            self._position = rows[-1].position
            self._happened()
        self._changed({row.organization_id for row in rows if row.organization_id})
        access = [row for row in rows if row.type.startswith(ACCESS_EVENTS)]
        for watcher in self._watchers:
            if any(
                _concerns(row.type, row.organization_id, row.aggregate_id, row.actor_id, watcher.actor)
                for row in access
            ):
                watcher.recheck.set()
        return len(rows)


_EVENTS_AFTER = sa.text(
    "select position, type, organization_id, aggregate_id, actor_id from event"
    f" where position > :after order by position limit {EVENTS_READ_MAX}"
)


def _concerns(
    kind: str, organization_id: str | None, aggregate_id: str, actor_id: str, watcher: Actor
) -> bool:
    if kind.startswith("session."):
        # Colleagues come and go all day: only what happens to one's own session says anything of one's access.
        return aggregate_id == watcher.session_id
    own = {watcher.account_id, watcher.session_id, watcher.organization_id}
    return organization_id == watcher.organization_id or aggregate_id in own or actor_id in own
