"""The assembled product: pages, API and their lifespan on one ASGI app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import reflex as rx

from components import document
from components.texts import t
from matrix_app import pages
from matrix_app.api.app import create_app
from matrix_app.arrivals import led_to
from matrix_app.doors import Doors
from matrix_app.live_door import LiveDoor
from matrix_app.page_headers import PageHeaders
from matrix_app.page_messages import ReadableOnly
from matrix_app.pages import faults
from matrix_app.pages.registry import PAGES, documents
from matrix_app.up.reflex_environment import work_dir
from services.core.database import database
from services.core.settings import settings

api = create_app()
live = LiveDoor()


class MatrixApp(rx.App):
    """Reflex's app behind the API's: a call of the gateway does not pass through what only pages need."""

    def _setup_state(self) -> None:
        super()._setup_state()
        if (events := self.event_namespace) is not None:
            readable = ReadableOnly(events.on_event, lambda sid: sid in events.sid_to_token)
            setattr(events, "on_event", readable.on_event)  # noqa: B010 (a method, which types let nobody replace)

    def __call__(self) -> Doors:
        headers = PageHeaders(work_dir() / "build" / "client", https=settings().secure_cookies)
        return Doors(
            api=api,
            live=live,
            pages=super().__call__(),
            documents=documents(),
            headers=headers.of,
            led_to=led_to,
        )


app = MatrixApp(
    **document.app_options(),
    theme=None,
    frontend_exception_handler=faults.on_browser_fault,
    backend_exception_handler=faults.on_server_fault,
)

pages.load_all()
for declared in PAGES.values():
    app.add_page(
        declared.component,
        route=declared.route,
        title=f"{t(declared.title)} \u00b7 {t('product.name')}",
        on_load=list(declared.on_load),
    )


@app.register_lifespan_task
@asynccontextmanager
async def _lifespan() -> AsyncIterator[None]:
    """The API's own start and stop, with the database, vault and gateway, and the live hub within it."""
    async with api.router.lifespan_context(api), live.open(database(), settings()):
        yield
