"""Every public method of a state class is an endpoint that anyone may call by name: none may be unguarded."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import reflex as rx

from components.shell import page as shell
from matrix_app.doors import is_api
from matrix_app.pages import endpoints
from matrix_app.pages.registry import PAGES, Console
from services.core.permissions import Capability
from services.identity import projects
from state.base import Access, HandlerNotAsync, PageState, page_event
from state.choosing import Choosing
from state.dialogs import DialogsState
from state.edited import EditedState
from state.invoice_on_screen import InvoiceOnScreen
from state.listed import ListedState
from state.paying import Paying
from state.session import SessionState
from state.statements import StatementOfState
from state.subscription_on_screen import SubscriptionOnScreen
from tests.handlers import handlers, our_states, verbs

MIXINS = {
    PageState,
    ListedState,
    DialogsState,
    EditedState,
    InvoiceOnScreen,
    Paying,
    StatementOfState,
    Choosing,
    SubscriptionOnScreen,
}


def test_there_are_states_to_look_at() -> None:
    assert len(list(our_states())) > 10
    assert len(list(handlers())) > 30


def test_every_handler_was_declared_by_page_event() -> None:
    undeclared = [str(one) for one in handlers() if not hasattr(one.function, "__matrix_needs__")]
    assert undeclared == []


def test_no_state_offers_a_setter() -> None:
    assert [str(one) for one in handlers() if one.name.startswith("set_")] == []


def test_every_page_state_is_a_state_of_its_own_beside_the_others() -> None:
    """A class that forgot rx.State among its bases is a mixin, and its handlers would be nobody's."""
    for state in our_states():
        assert issubclass(state, PageState), state
        assert state.get_parent_state() is rx.State, state
    forgotten = {
        state
        for parent in MIXINS
        for state in parent.__subclasses__()
        if state._mixin and state not in MIXINS  # pyright: ignore[reportPrivateUsage]
    }
    assert forgotten == set()


def test_no_state_begins_with_content() -> None:
    """Defaults are copied to every client."""
    for state in our_states():
        for name, field in state.get_fields().items():
            default = field.default_value()
            assert not isinstance(default, list | dict) or len(default) <= 3, (state, name)


def test_only_pages_that_are_open_to_anyone_have_handlers_for_anyone() -> None:
    for one in handlers():
        if getattr(one.function, "__matrix_needs__", None) is Access.ANYONE:
            open_to_all = ("account", "session", "mailbox", "api_docs", "invitation", "payment_link", "terms")
            assert str(one).split(".")[1] in open_to_all, one


def test_a_handler_that_would_hold_up_everybody_is_refused() -> None:
    with pytest.raises(HandlerNotAsync, match="async def"):

        @page_event(Access.ANYONE)  # pyright: ignore[reportArgumentType]
        def load(self: PageState) -> None: ...

    with pytest.raises(HandlerNotAsync, match="yield"):

        @page_event(Access.ANYONE)  # pyright: ignore[reportArgumentType]
        async def stream(self: PageState):
            yield


def test_what_needs_a_proof_is_done_by_the_rest_api() -> None:
    """There the page asks for it and sends what was pressed again; a page event could only say that it is missing."""

    def needs_proof(verb: Any) -> bool:
        return "require_recent_proof" in inspect.getsource(verb) or "ProofNeeded" in (verb.__doc__ or "")

    asking = {
        str(one): {verb.__name__ for verb in verbs(one.function) if needs_proof(verb)} for one in handlers()
    }
    assert {name: found for name, found in asking.items() if found} == {}
    assert needs_proof(projects.archive_project)


def test_first_reading_of_a_page_needs_what_the_page_says() -> None:
    for route, page in PAGES.items():
        needs = {getattr(handler.fn, "__matrix_needs__", None) for handler in page.on_load}
        if page.needs is not None:
            assert page.needs in needs, route
        if page.console in {Console.PORTAL, Console.GOVERNANCE}:
            # One's own account needs no right in an organisation.
            own = route.startswith("/account") and Access.SIGNED_IN in needs
            assert own or any(isinstance(need, Capability) for need in needs), route


def test_staff_pages_need_a_staff_capability() -> None:
    for route, page in PAGES.items():
        assert (page.console is Console.GOVERNANCE) == (
            page.needs is not None and page.needs.startswith("staff.")
        ), route


def test_no_page_hides_behind_the_api() -> None:
    assert [route for route in PAGES if is_api(route) or route.startswith("/live")] == []


def test_every_page_has_its_words() -> None:
    for page in PAGES.values():
        assert inspect.getdoc(page.draw), page.route
        page.component()  # raises for a text that nobody declared


def test_every_address_that_pages_send_to_is_one_of_the_api() -> None:
    from matrix_app.api.app import create_app

    rest: Any = next(route for route in create_app().routes if getattr(route, "path", "") == "/api/v1")
    known = {f"/api/v1{path}" for path in rest.app.openapi()["paths"]}
    used = {value for name, value in vars(endpoints).items() if name.isupper()}
    assert used <= known


def test_no_page_draws_what_was_read_for_another_address() -> None:
    """Its outermost part keeps from it whatever was read elsewhere, also what events that are sent from it act on; so
    all that a page of a row draws, but who looks, must be read for its address, and say so."""
    ours = {state.get_full_name(): state for state in our_states()}
    for route, page in PAGES.items():
        drawn = page.component()
        assert isinstance(drawn, shell.OfAddress), route
        if not page.is_dynamic:
            continue
        read = {handler.state_full_name for handler in page.on_load if handler.fn.__matrix_reads__}
        of_rows = {name for name in _states_of(drawn) if name in ours} - {SessionState.get_full_name()}
        assert of_rows, route
        assert of_rows <= read, route


def _states_of(component: Any) -> set[str]:
    """The states of whose vars a component and all within it are made."""
    found = set[str]()
    for var in component._get_vars():  # pyright: ignore[reportPrivateUsage]
        data = var._get_all_var_data()  # pyright: ignore[reportPrivateUsage]
        found |= {data.state} if data is not None else set()
    within = [*component.children, *component._get_components_in_props()]  # pyright: ignore[reportPrivateUsage]
    return found.union(*(_states_of(one) for one in within))
