"""A walk over every handler of every page in the name of those who may not, called by name as over the socket.

Who may call a handler stands at the handler (`page_event`), and who holds that permission in the table of
capabilities; so a new handler is walked as soon as it is declared. What the address and the arguments name is
the victim's.
"""

from __future__ import annotations

import inspect
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from matrix_app.pages.registry import PAGES
from models.types import Role
from services.core.permissions import Capability
from state import addresses
from state.base import Access
from state.dialogs import DialogsState
from tests.handlers import Handler, handlers
from tests.integration.state.visitor import Visitor, said, sent_to
from tests.integration.walk import parameters
from tests.integration.walk.callers import Caller, Cast
from tests.integration.walk.parameters import LEAVE_OUT, THEIRS
from tests.integration.walk.victim import Victim, furnish
from tests.integration.walk.watching import Watch
from tests.world import World

# What says how an attempt ended, and so changes with it.
OUTCOME = ("status", "problem", "read_for")  # and for which address, that of the sender


@pytest.fixture
async def victim(world: World) -> Victim:
    return await furnish(world, "Victim")


def address_of(handler: Handler, victim: Victim) -> str:
    """The address of the handler's page, with the victim's rows wherever it names one."""
    route = next(
        (
            route
            for route, page in PAGES.items()
            if any(event.fn.__qualname__.startswith(f"{handler.state.__name__}.") for event in page.on_load)
        ),
        "/",
    )
    path = re.sub(r"\[(\w+)\]", lambda found: _made(found[1], victim, handler), route)
    names: tuple[str, ...] = getattr(handler.state, "_filter_keys", ())
    query = {name: _made(name, victim, handler) for name in names}
    wanted = {name: value for name, value in query.items() if value is not LEAVE_OUT}
    return f"{path}?{urlencode(wanted)}" if wanted else path


def _made(name: str, victim: Victim, handler: Handler) -> Any:
    return parameters.made_for(name, victim, parameters.ADDRESS, f"The page of {handler}")


def arguments_of(handler: Handler, victim: Victim) -> list[Any]:
    """What an attacker would send for each argument."""
    names = list(inspect.signature(inspect.unwrap(handler.function)).parameters)[1:]
    room = parameters.ARGUMENTS
    if issubclass(handler.state, DialogsState):
        rows: Any = handler.state
        dialog = next(iter(rows._dialogs))
        room = room | {"row_id": parameters.ROW_OF_LIST[rows._listing.name], "name": lambda _: dialog}
    return [parameters.made_for(name, victim, room, str(handler)) for name in names]


class Attempt:
    """One call by name, on a page of its own, and all that the caller's browser would be told of it."""

    def __init__(self, caller: Caller, handler: Handler, victim: Victim) -> None:
        self.caller, self.handler, self.victim = caller, handler, victim
        self.told = ""
        self.answer: Any = None
        self.status = ""
        self.changed: list[str] = []

    async def make(self) -> Attempt:
        shown = await self.caller.present()
        visitor = Visitor(shown.session, at=address_of(self.handler, self.victim))
        state = await visitor.state(self.handler.state)
        before = _vars(state)
        _, self.answer = await visitor.call(
            self.handler.state, self.handler.name, *arguments_of(self.handler, self.victim)
        )
        after = _vars(state)
        self.changed = [name for name in after if after[name] != before[name] and name not in OUTCOME]
        self.status = state.status
        self.told = f"{after} {said(self.answer)}"
        return self

    def fault(self) -> str:
        """What is wrong with the outcome; empty when this is how it must end."""
        needs = self.handler.function.__matrix_needs__
        if "internal_error" in self.told or "(reference" in self.told or "did not foresee" in self.told:
            return f"failed: {self.told[:300]}"
        if needs is Access.ANYONE:
            return ""
        if self.caller.refused is not None:
            return self._unless(sent_to(self.answer).startswith(addresses.SIGN_IN))
        if needs is Access.SIGNED_IN:
            return ""
        if self.caller.organization_id is None:
            return self._unless(sent_to(self.answer) == addresses.NEW_ORGANIZATION)
        if needs not in self.caller.capabilities:
            why = "membership is suspended" if self.caller.told else needs.value
            return self._unless(self.status == "forbidden" or why in said(self.answer))
        if self._is_about_theirs(needs):
            return self._unless(self.status == "missing")
        return ""

    def _is_about_theirs(self, needs: Capability) -> bool:
        """Whether the page is that of one row of the victim's, seen from elsewhere."""
        page = next((route for route, one in PAGES.items() if "[" in route and self._loads(one.on_load)), "")
        named = set(re.findall(r"\[(\w+)\]", page)) & THEIRS.keys()
        elsewhere = self.caller.organization_id != self.victim.organization.id
        return bool(named) and elsewhere and not needs.startswith("staff.")

    def _loads(self, events: Any) -> bool:
        return any(event.fn is self.handler.function for event in events)

    def _unless(self, refused: bool) -> str:
        if refused and not self.changed:
            return ""
        return f"was not refused: {self.status}, {said(self.answer)[:200]!r}, changed {self.changed}"


def _vars(state: Any) -> dict[str, str]:
    return {name: repr(getattr(state, name)) for name in state.get_fields()}


CAST = {
    "stranger": Cast.stranger,
    "expired session": Cast.expired,
    "ended session": Cast.signed_out,
    "viewer": lambda cast: cast.member(Role.VIEWER),
    "billing": lambda cast: cast.member(Role.BILLING),
    "owner elsewhere": Cast.owner_elsewhere,
    "newcomer": Cast.newcomer,
    "support": Cast.support,
    "owner of a suspended organisation": Cast.suspended_owner,
    "suspended member": Cast.suspended_member,
}


@pytest.mark.parametrize("who", CAST)
async def test_no_handler_reads_or_changes_what_is_not_the_callers(
    who: str, world: World, victim: Victim
) -> None:
    caller = await CAST[who](Cast(world, victim))
    hidden = [one.text for one in victim.canaries if not caller.may_see(one, victim)]
    watch, wrong = await Watch(victim, but_by=caller.id).begin(), list[str]()

    for handler in handlers():
        attempt = await Attempt(caller, handler, victim).make()
        if fault := attempt.fault():
            wrong.append(f"{handler} {fault}")
        wrong += [f"{handler} tells {text}" for text in hidden if text in attempt.told]
        wrong += await watch.after(str(handler))
        if caller.refused is None:
            caller.present.spend()
    wrong += await watch.look()

    assert not wrong, "\n".join(wrong)


async def test_pages_show_the_owner_what_they_hide_from_others(world: World, victim: Victim) -> None:
    """Else the walk above would look for what no page ever tells."""
    owner = await Cast(world, victim).member(Role.OWNER)
    told = ""
    for handler in handlers():
        told += (await Attempt(owner, handler, victim).make()).told

    shown = [one.text for one in victim.canaries if owner.may_see(one, victim)]
    assert sum(text in told for text in shown) > 6
