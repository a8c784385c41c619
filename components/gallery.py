"""The gallery: every component in its states on one page, for the eye, for axe and for screenshots."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import code_block, copyable
from components.gallery_examples import (
    badges_examples,
    buttons_examples,
    charts_examples,
    figures_examples,
    states_examples,
    tables_examples,
    values_examples,
)
from components.gallery_forms import copy_example, failed_form_example, form_examples, stepper_example
from components.gallery_overlays import dialog_example, overlays_examples, tabs_examples
from components.js import ClientComponent, library
from components.live.figures import live_status
from components.playground.chat import playground
from components.shell.navigation import NavGroup, NavItem
from components.shell.page import Session, console_page, page_header, section
from components.texts import made_up as say
from components.texts import speaking, t, texts_under

NAV = (
    NavGroup(
        (
            NavItem("gallery.nav.overview", "/overview", "layout-dashboard", phone=True),
            NavItem("gallery.nav.keys", "/keys", "key-round", phone=True),
            NavItem("gallery.nav.usage", "/usage", "chart-column", phone=True),
        )
    ),
    NavGroup(
        (
            NavItem("gallery.nav.playground", "/playground", "message-square"),
            NavItem("gallery.nav.gallery", "/developer/gallery", "layers", phone=True),
            NavItem("gallery.nav.settings", "/settings", "settings"),
        ),
        text="gallery.nav.group",
    ),
)


class _GalleryFrame(ClientComponent):
    library = library("gallery_frame")
    tag = "GalleryFrame"


class _GalleryLooks(ClientComponent):
    library = library("gallery_frame")
    tag = "GalleryLooks"

    texts: rx.Var[dict[str, str]]


def _session() -> Session:
    return Session(
        organization_id="org_acme",
        organization_name="Acme Robotics",
        organizations=[
            {"id": "org_acme", "label": "Acme Robotics", "detail": say("Client")},
            {"id": "org_birch", "label": "Birch & Sons Typesetting", "detail": say("Client")},
        ],
        consoles=[
            {"id": "portal", "label": say("Portal"), "href": "/"},
            {"id": "governance", "label": say("Governance"), "href": "/governance"},
        ],
        account_name="Ana Duarte",
        account_email="ana@acme.example",
        account_items=({"label": say("Settings"), "href": "/settings", "icon": "settings"},),
    )


def gallery() -> rx.Component:
    """All components in their states. Content is made up, and what is sent goes to addresses that do not exist.

    The address chooses the look: `?locale=pseudo`, `?dir=rtl`, `?density=compact` or `touch`, `?connection=lost`.
    """
    with speaking("pseudo"):
        in_pseudo_locale = _page()
    return _GalleryFrame.create(_page(), in_pseudo_locale)


def _page() -> rx.Component:
    return console_page(
        page_header(
            t("gallery.title"),
            dialog_example(),
            text=t("gallery.text"),
            status=live_status("overview"),
        ),
        _GalleryLooks.create(texts=texts_under("gallery.look")),
        section(say("Figures"), figures_examples()),
        section(say("Charts"), *charts_examples()),
        section(say("Buttons and badges"), buttons_examples(), badges_examples()),
        section(say("Tables"), *tables_examples()),
        section(say("Forms"), form_examples(), stepper_example()),
        section(say("A refused form"), failed_form_example(), copy_example()),
        section(say("Overlays and tabs"), overlays_examples(), tabs_examples()),
        section(say("States"), *states_examples()),
        section(
            say("Values"),
            values_examples(),
            copyable("req_01k9x2c7", label=say("request id")),
            code_block("curl https://matrix.example/v1/models", title="curl"),
        ),
        section(
            say("Playground"),
            playground(
                [{"id": "smollm2", "label": "SmolLM2 135M"}], organization_id="org_acme", url="/v1/gallery"
            ),
        ),
        title=t("gallery.title"),
        path="/developer/gallery",
        console="portal",
        nav=NAV,
        session=_session(),
        nav_label=say("Portal"),
        demo=True,
    )
