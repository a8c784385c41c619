"""Memory, clock and events of the fake PayPal; they work as those of the fake Stripe do."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.paypal.errors import not_found
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import World

SEARCH_LAGS_S = 3 * 3_600
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"


@dataclass
class PayPalWorld(World):
    """`secret_key` is `client:secret`."""

    tokens: set[str] = field(default_factory=set)

    def paypal_id(self, length: int = 17) -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(length))

    def named(self, kind: str, identifier: str) -> Thing:
        found = self.store.find(identifier)
        if found is None or found["object"] != kind:
            raise not_found()
        return found

    def text_now(self, *, before_s: int = 0) -> str:
        return text(self.now() - before_s)

    def tell(self, kind: str, resource_type: str, thing: Thing) -> None:
        """Records an event that what it is about has changed, as it is told to listeners."""
        self.store.put(thing)
        body = {
            "id": f"WH-{self.paypal_id()}-{self.paypal_id()}",
            "event_version": "1.0",
            "create_time": self.text_now(),
            "resource_type": resource_type,
            "resource_version": "2.0",
            "event_type": kind,
            "summary": kind.replace(".", " ").capitalize(),
            "resource": told(thing),
            "links": [],
        }
        event = self.store.put(
            {"id": body["id"], "object": "event", "type": kind, "pending_webhooks": 0, "body": body}
        )
        for listener in self.recorded:
            listener(event)


def text(at: int) -> str:
    return (datetime.fromtimestamp(0, UTC) + timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(thing: Thing) -> dict[str, Any]:
    """As PayPal answers with it: what we keep besides is under names that begin with an underscore, or `object`."""
    return {name: value for name, value in thing.items() if name != "object" and not name.startswith("_")}
