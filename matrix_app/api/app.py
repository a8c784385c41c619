"""The HTTP door for programs: REST, gateway, health. Pages have a door of their own beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware

from matrix_app.api import document, errors, health
from matrix_app.api.edge import AsgiApp, Edge, Receive, Scope, Send
from matrix_app.api.gateway import GatewayApp
from matrix_app.api.known_keys import KnownKeys
from matrix_app.api.rates import Rates
from matrix_app.api.v1 import (
    account,
    audit,
    billing_profile,
    billing_runs,
    brands,
    budgets,
    contests,
    coupons,
    crypto_payments,
    customer_credits,
    dispute_files,
    doors,
    dunning,
    dunning_holds,
    figures,
    files,
    inbound,
    invitations,
    invoices,
    issuers,
    keys,
    ledger,
    members,
    models,
    notifications,
    operations,
    organizations,
    papers,
    payment_links,
    payments,
    plan_migrations,
    plans,
    projects,
    refunds,
    requests,
    service_accounts,
    staff,
    staff_bank,
    staff_cases,
    staff_crypto_rates,
    staff_disputes,
    staff_invoices,
    staff_payments,
    staff_plans,
    staff_profiles,
    staff_refunds,
    staff_subscriptions,
    staff_wallets,
    subscriptions,
    tasks,
    templates,
    terms,
    usage,
    usage_periods,
    wallets,
)
from services.core import runtime
from services.core.settings import settings
from services.documents.press import Press
from services.payments import cashier as cashiers
from services.payments.cashier import Cashier
from services.payments.intake import Intake

API = "/api/v1"
GATEWAY = "/v1"


class Rest(FastAPI):
    """The resources. `Edge` is around them: what a framework's own layers would do of it is not done twice."""

    def build_middleware_stack(self) -> AsgiApp:
        handlers = {kind: handle for kind, handle in self.exception_handlers.items() if kind is not Exception}
        return ExceptionMiddleware(AsyncExitStackMiddleware(self.router), handlers=handlers)


class Api(FastAPI):
    """REST and health, with the gateway before them: a call of a model passes through no framework."""

    def __init__(self, gateway: GatewayApp, rest: FastAPI, **options: Any) -> None:
        super().__init__(**options)
        self._gateway = Edge(gateway)
        self._rest = Edge(rest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and (path.startswith(f"{GATEWAY}/") or path == GATEWAY):
            await self._gateway(scope, receive, send)
        elif scope["type"] == "http" and path.startswith(f"{API}/"):
            # As the mount below would have it, without a second stack of middleware around each request.
            await self._rest({**scope, "app_root_path": "", "root_path": API}, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app() -> FastAPI:
    """API, gateway and health. The database is reached once the app's lifespan has begun, not before."""
    gateway, press = GatewayApp(), Press()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        on = await runtime.start(settings(), "web")
        try:
            await gateway.start(on, settings())
            till = Cashier(public_url=settings().public_url, allowed=settings().allow_private_upstreams)
            cashiers.install(till)
            rest.state.intake = Intake(till)
            yield
        finally:
            await cashiers.close()
            await press.close()
            await gateway.stop()
            await runtime.stop()

    rest = _rest(KnownKeys(gateway.key_facts))
    rest.state.press = press
    app = Api(
        gateway,
        rest,
        title="Matrix",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would lead to whatever host the request says it was sent to
    )
    errors.install(app)
    app.include_router(health.router)
    # An app of its own: what is not found below /api/v1 is a problem document, never a page.
    app.mount(API, rest)
    app.add_middleware(Edge)
    return app


# In the order of the document.
_RESOURCES = (
    doors,
    account,
    organizations,
    members,
    invitations,
    keys,
    projects,
    service_accounts,
    models,
    requests,
    figures,
    usage,
    usage_periods,
    ledger,
    invoices,
    customer_credits,
    papers,
    payment_links,
    payments,
    crypto_payments,
    contests,
    refunds,
    inbound,
    wallets,
    budgets,
    staff,
    staff_invoices,
    billing_runs,
    staff_wallets,
    staff_payments,
    dunning,
    dunning_holds,
    staff_crypto_rates,
    staff_disputes,
    dispute_files,
    staff_refunds,
    staff_cases,
    staff_bank,
    brands,
    issuers,
    staff_profiles,
    templates,
    terms,
    plans,
    staff_plans,
    plan_migrations,
    coupons,
    subscriptions,
    staff_subscriptions,
    billing_profile,
    audit,
    operations,
    files,
    tasks,
    notifications,
)


def _rest(known: KnownKeys) -> FastAPI:
    rest = Rest(
        title="Matrix API",
        telemetry={"tracing": False, "metrics": False, "logs": False},
        version="1",
        description=document.DESCRIPTION,
        servers=[{"url": API}],
        root_path_in_servers=False,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    rest.state.rates = Rates()
    rest.state.keys = known
    errors.install(rest)
    for module in _RESOURCES:
        # As they are, and not as an included router: that would match and wrap each request once more.
        rest.router.routes.extend(module.router.routes)
        errors.know_methods(rest, module.router)
    document.describe(rest)
    return rest
