"""Where models run and which models there are. An upstream's key is written through the API and never read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

import reflex as rx

from services.core import listing_sql
from services.core.listing import Listing
from services.core.permissions import Capability
from services.gateway import queries as gateway
from services.gateway.queries import StaffModelRow, UpstreamRow
from state.base import page_event
from state.format import instant_text
from state.listed import ListedState

UPSTREAM_FIELDS = (
    "name",
    "base_url",
    "connect_timeout_s",
    "read_timeout_s",
    "on_hangup",
    "enabled",
    "version",
)
SERVERS_OFFERED_MAX = 500
MODEL_FIELDS = (
    "slug", "name", "upstream_id", "upstream_model", "context_tokens", "endpoints", "description", "enabled", "version",
)  # fmt: skip


class UpstreamsState(ListedState, rx.State):
    """All upstreams and models, and which dialog is open for which of them.

    A change through the API replaces all that is said of a row: `sent` is all of it for dialogs without fields, and
    `kept` what a dialog with fields has to add to them.
    """

    _listing: ClassVar[Listing[Any]] = gateway.UPSTREAMS
    _file_url: ClassVar[str] = "/api/v1/staff/upstreams"
    _filter_keys: ClassVar[tuple[str, ...]] = ("name[contains]", "enabled")

    models: list[dict[str, Any]] = []
    servers: list[dict[str, str]] = []
    chosen: dict[str, Any] = {}
    sent: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    open_dialog: str = ""

    @page_event(Capability.STAFF_UPSTREAMS_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            upstreams = await self._read(uow, gateway.UPSTREAMS)
            servers = await listing_sql.select(uow, gateway.UPSTREAMS, limit=SERVERS_OFFERED_MAX)
            models = await gateway.staff_models(uow)
        self.rows = [_upstream(row) for row in upstreams]
        self.servers = [{"id": row.id, "label": row.name} for row in servers]
        self.models = [_model(row) for row in models]

    @page_event(Capability.STAFF_UPSTREAMS_WRITE)
    async def ask_upstream(self, upstream_id: str, act: str) -> None:
        """Open a dialog for one upstream: edit, key or toggle."""
        self._choose(self.rows, upstream_id, UPSTREAM_FIELDS)
        if act != "key":
            # Null keeps the key that is there.
            self.sent, self.kept = self.sent | {"api_key": None}, self.kept | {"api_key": None}
        self._open(act if act in {"edit", "key", "toggle"} else "")

    @page_event(Capability.STAFF_UPSTREAMS_WRITE)
    async def ask_model(self, model_id: str, act: str) -> None:
        """Open a dialog for one model: edit or toggle."""
        self._choose(self.models, model_id, MODEL_FIELDS)
        self.kept = self.kept | {"slug": self.sent["slug"]}
        self._open(f"model-{act}" if act in {"edit", "toggle"} else "")

    @page_event(Capability.STAFF_UPSTREAMS_READ)
    async def turn(self, name: str, is_open: bool) -> None:
        """Open or close the dialog `name`, as its button or the Escape key asks."""
        self.open_dialog = name if is_open else ""

    @page_event(Capability.STAFF_UPSTREAMS_READ)
    async def changed(self) -> Any:
        """Something was added or changed through the API."""
        self.open_dialog = ""
        return UpstreamsState.load

    def _choose(self, rows: list[dict[str, Any]], row_id: str, fields: tuple[str, ...]) -> None:
        found = [row for row in rows if row["id"] == row_id]
        self.chosen = found[0] if found else {}
        self.sent = {name: self.chosen.get(name) for name in fields}
        self.kept = {name: self.chosen.get(name) for name in ("enabled", "version")}

    def _open(self, name: str) -> None:
        self.open_dialog = name if self.chosen else ""
        if name.endswith("toggle"):
            self.sent = self.sent | {"enabled": not self.chosen.get("enabled")}


def _upstream(row: UpstreamRow) -> dict[str, Any]:
    status = "enabled" if row.enabled else "disabled"
    key = "builtin" if row.kind == "builtin" else "set" if row.has_api_key else "none"
    return asdict(row) | {"created_at": instant_text(row.created_at), "status": status, "key": key}


def _model(row: StaffModelRow) -> dict[str, Any]:
    status = "enabled" if row.enabled else "disabled"
    return asdict(row) | {"created_at": instant_text(row.created_at), "status": status}
