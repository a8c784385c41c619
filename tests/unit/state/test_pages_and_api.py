"""Everything the pages do, programs do, too: what of the services a page calls is called by the API, or has a reason.

Found by reading the code of both doors: whatever function or list of services a module names is counted as called.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import state
from matrix_app import api, pages
from matrix_app.api.app import create_app
from services.core.listing import Listing

# What pages read in one piece or by a name of their own, and where a program finds the same.
BY_ANOTHER_ROUTE = {
    "billing.brand_queries.offered": "GET /staff/brands",
    "billing.entities.has_numbered": "GET /staff/invoice-series",
    "billing.queries.numbers_of": "GET /invoices",
    "billing.usage_months.running": "GET /usage-periods/{usage_period_id}",
    "billing_runs.run_records.parked": "GET /staff/parked-subscriptions",
    "billing_runs.run_records.why_parked": "GET /staff/parked-subscriptions",
    "catalog.plan_queries.currencies_on_sale": "GET /plans",
    "catalog.plan_queries.plan_names": "GET /staff/plans",
    "catalog.plan_queries.published_numbers": "GET /staff/plan-versions",
    "crypto.requests.asked_for": "GET /payments/{payment_id}/crypto",
    "disputes.queries.contests_of": "GET /contests",
    "disputes.queries.staff_contests_of": "GET /staff/contests",
    "disputes.queries.timeline": "GET /staff/audit",
    "dunning.hold_queries.in_force": "GET /staff/dunning-holds",
    "dunning.queries.overdue": "GET /invoices",
    "gateway.queries.models": "GET /models",
    "gateway.queries.staff_models": "GET /staff/models",
    "identity.key_queries.list_keys": "GET /keys",
    "identity.projects.active_projects": "GET /projects",
    "identity.service_accounts.service_accounts": "GET /service-accounts",
    "identity.queries.organization_name": "GET /staff/organizations",
    "metering.queries.platform_meters": "GET /meters",
    "metering.queries.series_of": "GET /usage",
    "metering.queries.totals_of": "GET /usage/totals",
    "notify.queries.mailbox": "GET /mailbox",
    "papers.queries.made_of": "GET /invoices/{invoice_id}/paper",
    "refunds.queries.lines_of": "GET /staff/invoices/{invoice_id}/lines",
    "refunds.queries.of_payment": "GET /refunds",
    "refunds.queries.staff_of_payment": "GET /staff/refunds",
    "subscriptions.queries.billed": "GET /staff/invoices",
    "subscriptions.queries.running": "GET /subscriptions",
    "terms.queries.current_number": "GET /terms",
}
# What only a person at a page needs.
OF_PAGES_ALONE = {
    "audit.names.names_of": "the API says what happened by ids, which stay when names change",
    "billing.policies.any_organization": "a page of an organisation that is not there says so before it asks more",
    "core.listing_sql.count": "pages say how many rows there are; the API gives a cursor",
    "core.listing_sql.count_before": "pages say which rows of how many are shown",
    "core.listing_sql.select": "what a page shows a few rows of is a list of the API",
    "identity.throttle.count": "the API counts callers at its own door",
    "identity.throttle.require_open": "the API counts callers at its own door",
    "payments.link_paying.see": "a payment link is for whoever got it by mail, and opens a page",
    "payments.setups.open_ones": "leads somebody back to a form that was left; a program has the id it was given",
}


def modules_of(*packages: ModuleType) -> Iterator[ModuleType]:
    for package in packages:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def named(module: ModuleType) -> Iterator[Any]:
    """Whatever the module's code names of others, by itself or with a dot."""
    file = module.__file__
    if file is None:
        return
    with open(file, encoding="utf-8") as source:
        for node in ast.walk(ast.parse(source.read())):
            if isinstance(node, ast.Name):
                yield vars(module).get(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                yield getattr(vars(module).get(node.value.id), node.attr, None)


def called(*packages: ModuleType) -> set[str]:
    """What of the services waits for something, and so reads or writes."""
    return {
        f"{function.__module__}.{function.__qualname__}".removeprefix("services.")
        for module in modules_of(*packages)
        for one in named(module)
        if isinstance(function := inspect.unwrap(one) if callable(one) else one, FunctionType)
        and function.__module__.startswith("services.")
        and (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function))
    }


def lists(*packages: ModuleType) -> set[str]:
    return {one.name for module in modules_of(*packages) for one in named(module) if isinstance(one, Listing)}


def test_what_pages_do_the_api_does() -> None:
    by_pages, by_api = called(state, pages), called(api)
    assert len(by_pages) > 100

    without = by_pages - by_api

    assert without - set(BY_ANOTHER_ROUTE) - set(OF_PAGES_ALONE) == set()
    assert (set(BY_ANOTHER_ROUTE) | set(OF_PAGES_ALONE)) - without == set(), "no exception any more"
    assert not set(BY_ANOTHER_ROUTE) & set(OF_PAGES_ALONE)


def test_what_has_no_route_of_its_own_is_at_one_that_is_there() -> None:
    rest: Any = next(route for route in create_app().routes if getattr(route, "path", "") == "/api/v1")
    known = {
        f"{method.upper()} {path}"
        for path, operations in rest.app.openapi()["paths"].items()
        for method in operations
    }
    assert set(BY_ANOTHER_ROUTE.values()) - known == set()


def test_every_list_of_a_page_is_one_of_the_api() -> None:
    shown = lists(state, pages)
    assert len(shown) > 40
    assert shown - lists(api) == set()
