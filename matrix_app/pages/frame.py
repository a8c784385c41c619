"""The shells around our pages: navigation by console, who is signed in, and the states a page can be in."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import banner, empty_state, error_state, not_found_state
from components.links import button_link
from components.shell.bell import bell
from components.shell.navigation import NavGroup, NavItem
from components.shell.page import Session, console_page, public_page
from components.texts import t
from services.core.permissions import Capability
from services.notify.notices import UNREAD_COUNTED_MAX
from state.addresses import NEW_ORGANIZATION
from state.base import PageState
from state.notices import PAGE as NOTICES
from state.session import GOVERNANCE_HOME, PORTAL_HOME, SessionState

PORTAL_NAV = (
    NavGroup(
        (
            NavItem("nav.overview", "/portal", "layout-dashboard", phone=True),
            NavItem("nav.usage", "/portal/usage", "chart-column", phone=True),
            NavItem("nav.requests", "/portal/requests", "list-filter"),
        )
    ),
    NavGroup(
        (
            NavItem("nav.keys", "/portal/keys", "key-round", phone=True),
            NavItem("nav.models", "/portal/models", "boxes"),
            NavItem("nav.playground", "/portal/playground", "message-square", phone=True),
        ),
        text="nav.group.build",
    ),
    NavGroup(
        (
            NavItem("nav.subscriptions", "/portal/subscriptions", "refresh-cw"),
            NavItem("nav.plans", "/portal/plans", "tags", also=("/portal/subscribe",)),
            NavItem(
                "nav.invoices",
                "/portal/invoices",
                "receipt",
                also=("/portal/credit-notes", "/portal/credits"),
            ),
            NavItem("nav.payments", "/portal/payments", "handshake"),
            NavItem("nav.payment_methods", "/portal/payment-methods", "credit-card"),
            NavItem("nav.wallet", "/portal/wallet", "wallet"),
            NavItem("nav.budgets", "/portal/budgets", "gauge"),
            NavItem("nav.billing_profile", "/portal/billing-profile", "building-2"),
            NavItem("nav.ledger", "/portal/ledger", "book-open"),
        ),
        text="nav.group.billing",
    ),
    NavGroup(
        (
            NavItem("nav.members", "/portal/members", "users"),
            NavItem("nav.projects", "/portal/projects", "layers"),
            NavItem("nav.service_accounts", "/portal/service-accounts", "cpu"),
            NavItem("nav.tasks", "/portal/tasks", "hourglass"),
            NavItem("nav.audit", "/portal/audit", "clock"),
            NavItem("nav.settings", "/portal/settings", "settings"),
        ),
        text="nav.group.organization",
    ),
)

GOVERNANCE_NAV = (
    NavGroup(
        (
            NavItem("nav.organizations", "/governance/organizations", "building-2", phone=True),
            NavItem("nav.upstreams", "/governance/upstreams", "server", phone=True),
            NavItem("nav.audit", "/governance/audit", "clock"),
            NavItem("nav.health", "/governance/health", "activity", phone=True),
        )
    ),
    NavGroup(
        (
            NavItem("nav.prices", "/governance/prices", "tags", phone=True),
            NavItem("nav.plans", "/governance/plans", "layers", also=("/governance/plan-migrations",)),
            NavItem("nav.coupons", "/governance/coupons", "handshake"),
            NavItem("nav.subscriptions", "/governance/subscriptions", "refresh-cw"),
            NavItem(
                "nav.invoices",
                "/governance/invoices",
                "receipt",
                also=("/governance/credit-notes", "/governance/credits"),
            ),
            NavItem("nav.payments", "/governance/payments", "handshake"),
            NavItem("nav.dunning", "/governance/dunning", "clock"),
            NavItem("nav.refunds", "/governance/refunds", "rotate-ccw"),
            NavItem("nav.disputes", "/governance/disputes", "triangle-alert", also=("/governance/contests",)),
            NavItem("nav.provider_accounts", "/governance/provider-accounts", "webhook"),
            NavItem("nav.crypto_rates", "/governance/crypto-rates", "tags"),
            NavItem("nav.cases", "/governance/cases", "inbox"),
            NavItem("nav.payouts", "/governance/payouts", "wallet"),
            NavItem("nav.bank_statements", "/governance/bank-statements", "table"),
            NavItem("nav.billing_runs", "/governance/billing-runs", "hourglass"),
            NavItem("nav.wallets", "/governance/wallets", "wallet"),
            NavItem("nav.ledger", "/governance/ledger", "book-open"),
        ),
        text="nav.group.billing",
    ),
    NavGroup(
        (
            NavItem("nav.papers", "/governance/papers", "file-text"),
            NavItem("nav.templates", "/governance/templates", "pencil"),
            NavItem("nav.terms", "/governance/terms", "handshake"),
            NavItem("nav.legal_entities", "/governance/legal-entities", "building-2"),
            NavItem("nav.brands", "/governance/brands", "layers"),
            NavItem("nav.tax_rates", "/governance/tax-rates", "table"),
            NavItem("nav.number_series", "/governance/number-series", "list-filter"),
        ),
        text="nav.group.documents",
    ),
)

# What a page leaves out for those who may not see it; services never hand it to them either.
MAY_SEE_COST = SessionState.capabilities.contains(Capability.COST_READ.value)
MAY_SEE_KEYS = SessionState.capabilities.contains(Capability.KEYS_READ.value)

NAVIGATION = {"portal": (PORTAL_NAV, PORTAL_HOME), "governance": (GOVERNANCE_NAV, GOVERNANCE_HOME)}


def _session() -> Session:
    portal = {"id": "portal", "label": t("nav.console.portal"), "href": PORTAL_HOME}
    governance = {"id": "governance", "label": t("nav.console.governance"), "href": GOVERNANCE_HOME}
    return Session(
        organization_id=SessionState.organization_id,
        organization_name=SessionState.organization_name,
        organizations=SessionState.organizations,
        consoles=rx.cond(
            SessionState.without_organization, [], rx.cond(SessionState.staff, [portal, governance], [portal])
        ),
        account_name=SessionState.account_name,
        account_email=SessionState.account_email,
        account_items=(
            {"label": t("nav.account"), "href": "/account", "icon": "user-round"},
            {"label": t("nav.new_organization"), "href": "/welcome", "icon": "plus"},
            {"label": t("api_docs.link"), "href": "/docs/api", "icon": "code-xml"},
        ),
        switch_url="/api/v1/session/organization",
        sign_out_url="/api/v1/session/sign-out",
    )


def console_frame(*content: rx.Component, title: str, route: str, console: str) -> rx.Component:
    """A page of a console; `title` is a catalogue key.

    Who is in no organisation sees those of their own account, without the way to pages that would show one.
    """
    nav, home = NAVIGATION[console]
    first = banner(
        "info",
        t("own.no_organization_text", email=SessionState.account_email),
        title=t("own.no_organization"),
        action=button_link(t("own.found"), href=NEW_ORGANIZATION),
    )
    return console_page(
        rx.cond(SessionState.without_organization, first, rx.fragment()),
        *content,
        title=t(title),
        path=route,
        console=console,
        nav=nav,
        session=_session(),
        home=rx.cond(SessionState.without_organization, NEW_ORGANIZATION, home),
        alone=SessionState.without_organization,
        nav_label=t(f"nav.console.{console}"),
        demo=SessionState.demo,
        bell=bell(NOTICES, topic="notices", initial=SessionState.unread, most=UNREAD_COUNTED_MAX),
    )


def public_frame(*content: rx.Component, title: str, wide: bool) -> rx.Component:
    """A page that is open to anyone."""
    return public_page(*content, title=t(title), demo=SessionState.demo, wide=wide)


def in_its_state(
    state: type[PageState], content: rx.Component, *, loading: rx.Component | None = None, retry: Any
) -> rx.Component:
    """`content`, or why there is none: not allowed, not there, not readable.

    `loading` stands in before the first reading.
    """
    refused = empty_state(state.problem.title, state.problem.text, icon_name="lock")
    failed = error_state(
        title=state.problem.title, text=state.problem.text, reference=state.problem.reference, on_retry=retry
    )
    waiting = [("loading", loading)] if loading is not None else []
    return rx.match(
        state.status,
        ("forbidden", refused),
        ("missing", not_found_state()),
        ("error", failed),
        *waiting,
        content,
    )
