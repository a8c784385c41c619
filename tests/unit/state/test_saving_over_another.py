"""Whoever saves over a newer version sees both values: every form that changes a shared row, found in the pages."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import pytest
import reflex as rx
from reflex.event import EventHandler

from components.forms import form as forms
from matrix_app.pages.registry import PAGES
from tests.handlers import verbs

CHANGING = ("PUT", "PATCH")  # what is sent replaces what was read; POST and DELETE are acts
GALLERY = "/developer/gallery"
COMPARED_NOWHERE = {
    "own-name": "nobody else changes one's own account",
    "own-password": "nobody else changes one's own account, and no password is shown",
    "toggle": "an act: it is refused, and pressed again after reading",
    "model-toggle": "an act: it is refused, and pressed again after reading",
    "key": "a secret is never read, so that there is nothing to compare",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A form as a page draws it."""

    route: str
    props: dict[str, Any]

    @property
    def name(self) -> str:
        return self.props["form_id"]

    @property
    def changes_a_version(self) -> bool:
        """Whether what it sends is saved over a row that has a version."""
        if "url" in self.props:
            return self.props["method"] in CHANGING
        handler = self.props["on_submit"]
        assert isinstance(handler, EventHandler), f"{self.name} hands its values to no handler by name"
        return any("version" in inspect.signature(verb).parameters for verb in verbs(handler.fn))

    @property
    def shows_both(self) -> bool:
        wanted = ("version", "on_take_theirs") if "url" in self.props else ("met", "on_take_theirs")
        return all(name in self.props for name in wanted)


@pytest.fixture(scope="module")
def drawn() -> list[Drawn]:
    """Every form of every page."""
    found: list[Drawn] = []
    create = forms._Form.create
    with pytest.MonkeyPatch.context() as patched:
        for route, page in PAGES.items():
            if route == GALLERY:  # whose forms save nothing
                continue

            def seen(*children: Any, _route: str = route, **props: Any) -> rx.Component:
                found.append(Drawn(_route, props))
                return create(*children, **props)

            patched.setattr(forms._Form, "create", seen)
            page.component()
    return found


def test_every_form_over_a_row_of_others_shows_both_values(drawn: list[Drawn]) -> None:
    changing = [one for one in drawn if one.changes_a_version and one.name not in COMPARED_NOWHERE]

    assert sorted({one.name for one in changing if not one.shows_both}) == []
    assert {"legal-entity", "terms", "template", "edit-project"} <= {one.name for one in changing}


def test_what_is_left_out_is_still_there_and_still_changes_something(drawn: list[Drawn]) -> None:
    assert COMPARED_NOWHERE.keys() <= {one.name for one in drawn if one.changes_a_version}
