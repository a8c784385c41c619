"""The gallery: every component in its states on one page, for the eye, for axe and for screenshots."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import code_block, copyable
from components.gallery_examples import (
    badges_examples,
    buttons_examples,
    charts_examples,
    dialog_example,
    figures_examples,
    form_examples,
    overlays_examples,
    states_examples,
    tables_examples,
    tabs_examples,
    values_examples,
)
from components.live.figures import live_status
from components.playground.chat import playground
from components.shell.navigation import NavGroup, NavItem
from components.shell.page import Session, console_page, page_header, section
from components.texts import t

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

SESSION = Session(
    organization_id="org_acme",
    organization_name="Acme Robotics",
    organizations=[
        {"id": "org_acme", "label": "Acme Robotics", "detail": "Client"},
        {"id": "org_birch", "label": "Birch & Sons Typesetting", "detail": "Client"},
    ],
    consoles=[
        {"id": "portal", "label": "Portal", "href": "/"},
        {"id": "governance", "label": "Governance", "href": "/governance"},
    ],
    account_name="Ana Duarte",
    account_email="ana@acme.example",
    account_items=({"label": "Settings", "href": "/settings", "icon": "settings"},),
)


def gallery() -> rx.Component:
    """All components in their states. Content is made up, and what is sent goes to addresses that do not exist."""
    return console_page(
        page_header(
            t("gallery.title"),
            dialog_example(),
            text=t("gallery.text"),
            status=live_status("overview"),
        ),
        section("Figures", figures_examples()),
        section("Charts", *charts_examples()),
        section("Buttons and badges", buttons_examples(), badges_examples()),
        section("Tables", *tables_examples()),
        section("Forms", form_examples()),
        section("Overlays and tabs", overlays_examples(), tabs_examples()),
        section("States", *states_examples()),
        section(
            "Values",
            values_examples(),
            copyable("req_01k9x2c7", label="request id"),
            code_block("curl https://matrix.example/v1/models", title="curl"),
        ),
        section(
            "Playground",
            playground(
                [{"id": "smollm2", "label": "SmolLM2 135M"}], organization_id="org_acme", url="/v1/gallery"
            ),
        ),
        title=t("gallery.title"),
        path="/developer/gallery",
        console="portal",
        nav=NAV,
        session=SESSION,
        nav_label="Portal",
        demo=True,
    )
