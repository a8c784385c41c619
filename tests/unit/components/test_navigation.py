"""A console has at most seven groups, a phone bar of four, and exactly one current page."""

from __future__ import annotations

import pytest

from components.kit.tabs import LinkTab, link_tabs
from components.shell.navigation import (
    NAV_GROUPS_MAX,
    NavGroup,
    NavigationTooWide,
    NavItem,
    current_item,
    main_nav,
    require_fitting,
)
from matrix_app import pages
from matrix_app.pages.frame import GOVERNANCE_NAV
from matrix_app.pages.registry import PAGES, Console

HOME = NavItem("gallery.nav.overview", "/portal", "gauge", phone=True)
KEYS = NavItem("gallery.nav.keys", "/portal/keys", "key-round", phone=True, also=("/portal/robots",))
NAV = (NavGroup((HOME, KEYS)),)


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("/portal", HOME),
        ("/portal/keys", KEYS),
        ("/portal/keys/[key_id]", KEYS),
        ("/portal/keysmith", HOME),
        ("/portal/robots/[robot_id]", KEYS),
        ("/elsewhere", None),
    ],
)
def test_a_page_belongs_to_its_nearest_parent(path: str, item: NavItem | None) -> None:
    assert current_item(NAV, path) is item


def test_exactly_one_link_is_current() -> None:
    assert str(main_nav(NAV, path="/portal/keys", label="Portal")).count('"aria-current":"page"') == 1


def test_too_many_groups_are_refused() -> None:
    with pytest.raises(NavigationTooWide):
        require_fitting([NavGroup((HOME,))] * (NAV_GROUPS_MAX + 1))


def test_a_fifth_page_for_the_phone_is_refused() -> None:
    with pytest.raises(NavigationTooWide):
        require_fitting([NavGroup((HOME, KEYS, HOME, KEYS, HOME))])


def test_one_of_the_tabs_that_are_pages_is_current() -> None:
    drawn = str(
        link_tabs(LinkTab("Keys", "/keys"), LinkTab("Old", "/keys/old"), label="Keys", current="/keys/old")
    )
    assert drawn.count('"aria-current":"page"') == 1
    assert drawn.index('to:"/keys/old"') > 0


def test_every_page_of_staff_belongs_to_an_entry_of_its_navigation() -> None:
    pages.load_all()
    of_staff = [route for route, page in PAGES.items() if page.console is Console.GOVERNANCE]
    assert [route for route in of_staff if current_item(GOVERNANCE_NAV, route) is None] == []
