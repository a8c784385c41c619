"""Everything the fake stands on: objects, clock, what is due later, events, and the switches of whoever tests."""

from __future__ import annotations

import copy
import heapq
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.stripe.document import Document
from tests.fakes.stripe.refusals import missing
from tests.fakes.stripe.store import Store, Thing

DAY_S = 86_400
_STAYS = frozenset({"_settings", "_signer"})


@dataclass
class Terms:
    """What the account has agreed on with this Stripe."""

    fee_basis_points: int = 290
    fee_fixed: int = 30
    dispute_fee: int = 1500
    settles_after_s: int = 2 * DAY_S
    dispute_answer_s: int = 7 * DAY_S
    payout_arrives_s: int = 2 * DAY_S
    hold_ends_s: int = 7 * DAY_S
    calls_at_once: int = 0  # more of them are refused as too many; 0 for as many as come
    bank_takes_ms: int = 0  # before a call that changes something is answered


@dataclass
class Asked:
    """The request under way, which events name as their cause."""

    id: str | None = None
    key: str | None = None


@dataclass
class World:
    folder: Path
    secret_key: str
    base: str = ""  # how we are reached, http://127.0.0.1:…
    terms: Terms = field(default_factory=Terms)
    asked: Asked = field(default_factory=Asked)
    document: Document = field(default_factory=Document)
    later: dict[str, Callable[[World, Thing], None]] = field(default_factory=dict)
    recorded: list[Callable[[Thing], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(self.folder)
        self.settings = self.store.find("_settings") or self.store.put(
            {"id": "_settings", "object": "_settings", "ahead_s": 0, "declines": [], "daily_payouts": False}
        )
        self._due = [(one["at"], one["id"]) for one in self.store.of("_due")]
        heapq.heapify(self._due)

    # Time

    def now(self) -> int:
        """Unix time of this Stripe: the wall's, and as much further as somebody advanced it. Never backwards."""
        now = max(int(time.time()) + self.settings["ahead_s"], self.settings.get("last", 0))
        self.settings["last"] = now
        return now

    def advance(self, seconds: int) -> None:
        """Turns the clock, doing at its own moment whatever falls due on the way."""
        end = self.now() + seconds
        while self._due and self._due[0][0] <= end:
            self.settings["ahead_s"] += max(0, self._due[0][0] - self.now())
            self.do_due()
        self.settings["ahead_s"] += max(0, end - self.now())
        self.store.put(self.settings)
        self.do_due()

    def plan(self, at: int, act: str, about: str) -> None:
        """Has `later[act]` called with what `about` names, at that time."""
        one = {"id": self.new_id("_due"), "object": "_due", "at": at, "act": act, "about": about}
        self.store.put(one)
        heapq.heappush(self._due, (at, one["id"]))

    def do_due(self) -> None:
        while self._due and self._due[0][0] <= self.now():
            _, identifier = heapq.heappop(self._due)
            one = self.store.find(identifier)
            assert one is not None
            self.store.drop(identifier)
            thing = self.store.find(one["about"])
            if thing is not None:
                self.later[one["act"]](self, thing)

    def forget(self) -> None:
        """Nothing has ever happened here, and the clock is the wall's again. What signs stays."""
        self.store.forget(but=_STAYS)
        self._due.clear()
        self.settings |= {"ahead_s": 0, "last": 0, "declines": [], "daily_payouts": False}

    # Objects

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{secrets.token_hex(12)}"

    def make(self, name: str, prefix: str, /, *, ours: dict[str, Any] | None = None, **values: Any) -> Thing:
        """A new object of that name of the document, kept; `ours` are members that are never answered."""
        common: dict[str, Any] = {"id": self.new_id(prefix), "created": self.now()}
        known = self.document.properties(name)
        if "livemode" in known:
            common["livemode"] = False
        made = self.document.skeleton(name, **{k: v for k, v in common.items() if k in known}, **values)
        return self.store.put(made | {f"_{part}": value for part, value in (ours or {}).items()})

    def get(self, kind: str, identifier: str, *, param: str = "id", status: int = 400) -> Thing:
        found = self.store.find(identifier)
        if found is None or found["object"] != kind:
            raise missing(kind, identifier, param=param, status=status)
        return found

    # Events

    def emit(self, kind: str, thing: Thing, **previous: Any) -> None:
        """Keeps `thing` and records that it changed; whoever has asked for such events gets this one."""
        self.store.put(thing)
        data: dict[str, Any] = {"object": copy.deepcopy(public(thing))}
        if previous:
            data["previous_attributes"] = previous
        event = self.make(
            "event",
            "evt",
            api_version=self.document.version,
            data=data,
            type=kind,
            pending_webhooks=0,
            request={"id": self.asked.id, "idempotency_key": self.asked.key},
        )
        for listener in self.recorded:
            listener(event)


def public(thing: Thing) -> Thing:
    """Without what is ours alone."""
    return {name: value for name, value in thing.items() if not name.startswith("_")}
