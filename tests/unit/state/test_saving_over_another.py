"""Whoever saves over a newer version sees both values: every form that changes a shared row, found in the pages."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
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


def _drawn_for(component: Any) -> Iterator[str]:
    """What the parts below are keyed by: with another key they are drawn anew."""
    if component.key is not None:
        yield str(component.key)
    for child in component.children:
        yield from _drawn_for(child)


def test_the_form_of_one_entity_is_not_kept_for_another() -> None:
    """Fields keep what they were first drawn with, and two entities may well be of the same version."""
    drawn = list(_drawn_for(PAGES["/governance/legal-entities/[legal_entity_id]"].component()))
    assert any('["id"]' in key and '["version"]' in key for key in drawn), drawn
