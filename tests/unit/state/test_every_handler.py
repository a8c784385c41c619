"""Every public method of a state class is an endpoint that anyone may call by name: none may be unguarded."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import reflex as rx
from reflex_components_core.react_router.dom import ReactRouterLink

from components.shell import page as shell
from matrix_app.doors import is_api
from matrix_app.pages import endpoints
from matrix_app.pages.registry import LED_ON, PAGES, Console
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


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    """Every page as a component, by its route."""
    return {route: page.component() for route, page in PAGES.items()}


def test_no_page_draws_what_was_read_for_another_address(drawn: dict[str, Any]) -> None:
    """Its outermost part keeps from it whatever was read elsewhere, also what events that are sent from it act on; so
    all that a page of a row draws, but who looks, must be read for its address, and say so."""
    ours = {state.get_full_name() for state in our_states()} - {SessionState.get_full_name()}
    for route, page in PAGES.items():
        assert isinstance(drawn[route], shell.OfAddress), route
        if not page.is_dynamic:
            continue
        read = {handler.state_full_name for handler in page.on_load if handler.fn.__matrix_reads__}
        of_rows = {state for one in _within(drawn[route]) for state in _states_of(one)} & ours
        assert of_rows, route
        assert of_rows <= read, route


# Previews that nobody agrees to: of a paper, a file, numbers to come; and turning a clock, which says until when.
NO_MONEY = {"TemplateState", "EntityState", "BankMappingState", "OrganizationState"}


def test_nobody_agrees_to_a_preview_of_other_inputs(drawn: dict[str, Any]) -> None:
    """Fields whose values change what an act comes to say which of them were looked at, and the button that agrees
    is off while they hold others."""
    found = set[str]()
    for route, page in drawn.items():
        parts = list(_within(page))
        forms = [one for one in parts if type(one).__name__ == "_Form" and _weighs(one)]
        for one in forms:
            assert one.seen is not None, (route, str(one.form_id))
        if forms:
            agreeing = [one for one in parts if getattr(one, "agrees", None) is not None]
            assert agreeing, route
            found.add(route)
    assert len(found) >= 8, found


def test_a_link_within_the_app_leads_to_a_page(drawn: dict[str, Any]) -> None:
    """React Router draws every link (`rx.el.a` and `rx.link` are its own, too): one to a file or to the API would show
    "Not found" within the app. `file_link` has the browser fetch it."""
    followed, fetched = set[str](), set[str]()
    for route, page in drawn.items():
        if route == "/developer/gallery":  # its shell and its examples are made up and lead nowhere
            continue
        for one in _within(page):
            if not isinstance(one, ReactRouterLink):
                continue
            leads_to: Any = one
            path = _OWN_PATH.match(str(leads_to.to))
            if path is None:
                continue
            if str(leads_to.reload_document) == "true":
                fetched.add(path[1])
                continue
            followed.add(path[1])
            leads = path[1].removesuffix("/") in PAGES or path[1] in LED_ON
            begins = any(known.startswith(path[1]) for known in PAGES)  # what follows is said by a row
            assert leads or (begins and not path[1].endswith(".")), (route, str(leads_to.to))
            assert not is_api(path[1]), (route, str(leads_to.to))
    assert len(followed) > 40
    assert len(fetched) > 3


_OWN_PATH = re.compile(r"""[("`]*(/[^"`?#$]*)""")  # what of an expression in JavaScript says where it leads


def _weighs(form: Any) -> bool:
    """Whether what it holds is handed to a state that shows what it comes to."""
    events = [event for name in ("on_settled", "on_submit") for event in _events(form, name)]
    states = {state.__name__: state for state in our_states()}
    names = {event.handler.state_full_name.rpartition("____")[2] for event in events}
    shown = {name for name, state in states.items() if state.get_full_name().rpartition("____")[2] in names}
    return any({"preview", "outlook"} & states[name].get_fields().keys() for name in shown - NO_MONEY)


def _events(component: Any, name: str) -> list[Any]:
    chain = component.event_triggers.get(name)
    return list(getattr(chain, "events", ()))


def _within(component: Any) -> Iterator[Any]:
    yield component
    for one in [*component.children, *component._get_components_in_props()]:
        yield from _within(one)


def _states_of(component: Any) -> set[str]:
    """The states of whose vars it is made."""
    found = [var._get_all_var_data() for var in component._get_vars()]
    return {data.state for data in found if data is not None and data.state}
