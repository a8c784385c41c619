"""Webhook endpoints: each event is signed and delivered until it is taken, unless a switch spoils it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.fakes.stripe.routes import Fields, lists, metadata, page, reads, require, serves
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import World, public

ANSWER_TIMEOUT_S = 60  # more than Stripe waits: a busy machine is not what is tested
# After each failure; three days in all, as in live mode.
RETRIES_AFTER_S = (5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600, 12 * 3600, 12 * 3600, 12 * 3600)
SPOILS = ("duplicate", "reorder", "delay", "drop")

lists("webhook_endpoint", "/v1/webhook_endpoints")
reads("webhook_endpoint", "/v1/webhook_endpoints/{webhook_endpoint}")
reads("event", "/v1/events/{id}")


@serves("GET", "/v1/events")
def events(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    kinds = set(fields.get("types", [])) | ({fields["type"]} if "type" in fields else set())
    return page(world, "event", fields, "/v1/events", lambda one: not kinds or one["type"] in kinds)


@serves("POST", "/v1/webhook_endpoints")
def create(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    require(
        fields["url"].startswith(("http://", "https://")),
        "Invalid URL: An explicit scheme (such as https) must be provided.",
        param="url",
        code="url_invalid",
    )
    endpoint = world.make(
        "webhook_endpoint",
        "we",
        ours={"secret": "whsec_" + world.new_id("x")[2:]},
        api_version=fields.get("api_version", world.document.version),
        description=fields.get("description"),
        enabled_events=fields["enabled_events"],
        metadata=metadata(fields),
        status="enabled",
        url=fields["url"],
    )
    # Told this once and never again.
    return endpoint | {"secret": endpoint["_secret"]}


@serves("POST", "/v1/webhook_endpoints/{webhook_endpoint}")
def update(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    endpoint = world.get("webhook_endpoint", names["webhook_endpoint"], param="webhook_endpoint", status=404)
    endpoint |= {name: fields[name] for name in ("url", "enabled_events", "description") if name in fields}
    if "disabled" in fields:
        endpoint["status"] = "disabled" if fields["disabled"] else "enabled"
    return world.store.put(endpoint)


@serves("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}")
def delete(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    endpoint = world.get("webhook_endpoint", names["webhook_endpoint"], param="webhook_endpoint", status=404)
    world.store.drop(endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def signature(secret: str, raw: bytes, at: int) -> str:
    """As `Stripe-Signature`, by docs.stripe.com/webhooks: the time, and HMAC-SHA256 over time, dot and body."""
    return f"t={at},v1={hmac.new(secret.encode(), f'{at}.'.encode() + raw, hashlib.sha256).hexdigest()}"


Sign = Callable[[Thing, Thing], tuple[bytes, dict[str, str]]]  # event, endpoint: body and headers


def signed(event: Thing, endpoint: Thing) -> tuple[bytes, dict[str, str]]:
    raw = json.dumps(public(event), indent=2).encode()
    return raw, {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        # Receivers compare it with the wall's clock, whatever ours says.
        "Stripe-Signature": signature(endpoint["_secret"], raw, int(time.time())),
    }


@dataclass
class Spoil:
    """A switch on the next deliveries. `kind`: duplicate, reorder (that many are sent backwards), delay, drop."""

    kind: str
    times: int = 1
    seconds: int = 0
    held: list[str] = field(default_factory=list)


class Deliveries:
    """What is to be sent and has not been taken yet. One delivery at a time, so that the order is known."""

    def __init__(self, world: World, sign: Sign = signed) -> None:
        self._world = world
        self._sign = sign
        self._wake = asyncio.Event()
        self._one = asyncio.Lock()
        self.spoils: list[Spoil] = []
        self.paused = False
        world.recorded.append(self.record)

    def record(self, event: Thing) -> None:
        for endpoint in self._world.store.of("webhook_endpoint"):
            wanted = endpoint["enabled_events"]
            if endpoint["status"] == "enabled" and ("*" in wanted or event["type"] in wanted):
                self._queue(event, endpoint)

    def _queue(self, event: Thing, endpoint: Thing) -> None:
        spoil = self.spoils[0] if self.spoils else None
        if spoil is not None and spoil.kind != "reorder":
            spoil.times -= 1
            if not spoil.times:
                self.spoils.remove(spoil)
        if spoil is not None and spoil.kind == "drop":
            return
        delivery = self._add(event, endpoint, after_s=spoil.seconds if spoil and spoil.kind == "delay" else 0)
        if spoil is not None and spoil.kind == "duplicate":
            self._add(event, endpoint)
        if spoil is not None and spoil.kind == "reorder":
            self._hold(spoil, delivery)
        self._wake.set()

    def _hold(self, spoil: Spoil, delivery: Thing) -> None:
        delivery["state"] = "held"
        self._world.store.put(delivery)
        spoil.held.append(delivery["id"])
        if len(spoil.held) == spoil.times:
            self.spoils.remove(spoil)
            for identifier in reversed(spoil.held):
                held = self._world.store.find(identifier)
                if held is not None:
                    # Kept anew, so that it comes after those that are there.
                    self._world.store.drop(identifier)
                    self._world.store.put({**held, "id": self._world.new_id("_delivery"), "state": "due"})

    def _add(self, event: Thing, endpoint: Thing, *, after_s: int = 0) -> Thing:
        event["pending_webhooks"] += 1
        self._world.store.put(event)
        return self._world.store.put(
            {
                "id": self._world.new_id("_delivery"), "object": "_delivery", "event": event["id"], "tries": 0,
                "endpoint": endpoint["id"], "at": self._world.now() + after_s, "state": "due",
            }
        )  # fmt: skip

    def again(self, event: Thing) -> None:
        """Sends an old event once more, to all who want such."""
        self.record(event)

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        async with ClientSession(timeout=ClientTimeout(total=ANSWER_TIMEOUT_S)) as session:
            while True:
                self._wake.clear()
                if not self.paused:
                    await self.flush(session)
                # Retries fall due with the clock, which somebody may turn; looked at once a second all the same.
                try:
                    await asyncio.wait_for(self._wake.wait(), timeout=1)
                except TimeoutError:
                    continue

    async def flush(self, session: ClientSession, *, even_later: bool = False) -> dict[str, int]:
        """Sends what is due, each once, until nothing is. `even_later` takes what waits for later as due now."""
        counts = {"taken": 0, "refused": 0}
        tried: set[str] = set()
        async with self._one:
            while (one := self._next(tried, even_later)) is not None:
                tried.add(one["id"])
                counts["taken" if await self._send(session, one) else "refused"] += 1
                self._world.store.commit()
        return counts

    def _next(self, tried: set[str], even_later: bool) -> Thing | None:
        now = self._world.now()
        return self._world.store.first(
            "_delivery",
            lambda one: one["state"] == "due" and one["id"] not in tried and (even_later or one["at"] <= now),
        )

    async def _send(self, session: ClientSession, delivery: Thing) -> bool:
        event, endpoint = (self._world.store.find(delivery[name]) for name in ("event", "endpoint"))
        if event is None or endpoint is None:
            self._world.store.drop(delivery["id"])
            return False
        raw, headers = self._sign(event, endpoint)
        try:
            async with session.post(
                endpoint["url"], data=raw, headers=headers, allow_redirects=False
            ) as answer:
                taken = 200 <= answer.status < 300
        except (ClientError, TimeoutError, OSError):
            taken = False
        self._note(delivery, event, taken)
        return taken

    def _note(self, delivery: Thing, event: Thing, taken: bool) -> None:
        delivery["tries"] += 1
        if taken or delivery["tries"] > len(RETRIES_AFTER_S):
            event["pending_webhooks"] -= 1
            self._world.store.put(event)
            self._world.store.drop(delivery["id"])
            return
        delivery["at"] = self._world.now() + RETRIES_AFTER_S[delivery["tries"] - 1]
        self._world.store.put(delivery)

    def waiting(self) -> list[dict[str, Any]]:
        return [dict(one) for one in self._world.store.of("_delivery")]
