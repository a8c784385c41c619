"""A browser's side of page states: whoever it is signed in as calls handlers by name, as over the socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import reflex as rx

from models.identity import Account, Organization, Session
from models.types import Role
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.ids import new_id, new_secret
from services.core.settings import settings
from services.identity.cookies import session_cookie
from state.base import PageState
from tests.world import World

S = TypeVar("S", bound=PageState)
ADDRESS = "192.0.2.30"


def _fresh_root() -> rx.State:
    make: Any = rx.State  # its signature hides the argument by which Reflex itself makes states
    return make(_reflex_internal_init=True)


@dataclass
class Visitor:
    """One client's tree of states. `at` is the address of the page it looks at; `cookies`, if not those of the

    token alone, is the whole header.
    """

    token: str = ""
    at: str = "/"
    cookies: str = ""
    root: rx.State = field(default_factory=lambda: _fresh_root())

    async def state(self, kind: type[S]) -> S:
        headers = {
            "cookie": self.cookies
            or (f"{session_cookie(settings().public_url)}={self.token}" if self.token else ""),
            "origin": "http://localhost:3000",
        }
        path = self.at.partition("?")[0]
        router_data: dict[str, Any] = {
            "headers": headers,
            "pathname": path,
            "asPath": self.at,
            "query": {},
            "ip": ADDRESS,
        }
        self.root.router_data = self.root._update_router_vars(router_data, {})
        found = await self.root.get_state(kind)
        assert isinstance(found, kind)
        return found

    async def call(self, kind: type[S], handler: str, *arguments: Any) -> tuple[S, Any]:
        """The state after the event, and what the handler answered with."""
        state = await self.state(kind)
        answer = await kind.event_handlers[handler].fn(state, *arguments)
        return state, answer


async def sign_in(
    world: World, organization: Organization | None, role: Role = Role.OWNER
) -> tuple[Visitor, Account]:
    """Somebody signed in, a member of `organization` in `role` if there is one."""
    account = await world.account(member_of=organization, role=role)
    token, now = new_secret(), datetime.now(UTC)
    async with crossing(Reason.SIGN_IN, on=world.database) as uow:
        uow.add(
            Session(
                id=new_id("ses"),
                token_hash=vault().lookup_hash(token),
                account_id=account.id,
                organization_id=organization.id if organization else None,
                created_at=now,
                last_seen_at=now,
                proved_at=now,
                expires_at=now + timedelta(days=1),
            )
        )
    return Visitor(token), account


def sent_to(answer: Any) -> str:
    """The address that an answer makes the browser load anew, or navigate to; empty when it does neither."""
    events = answer if isinstance(answer, list) else [answer]
    for event in events:
        for name, value in getattr(event, "args", ()):
            text = str(value).strip('"')
            if "location.assign" in text:
                return text.split("(", 1)[1].rsplit(")", 1)[0].replace('\\"', "").strip('"')
            if str(name) == "path":
                return text
    return ""


def said(answer: Any) -> str:
    """Everything an answer holds, as text: for what a toast must say."""
    events = answer if isinstance(answer, list) else [answer]
    return " ".join(f"{name} {value}" for event in events for name, value in getattr(event, "args", ()))
