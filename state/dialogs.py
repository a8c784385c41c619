"""Dialogs over a page's rows: which one is open, and for which row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from services.core.permissions import Capability
from state.base import SIGNED_IN, PageState, page_event


class DialogsState(PageState, mixin=True):
    """What the dialogs do, the REST API does and checks; here is only what is on screen.

    A page class names its dialogs with what it takes to open each, and has a handler `load` that reads its `rows`.
    """

    _dialogs: ClassVar[Mapping[str, Capability]]
    load: ClassVar[Any]  # the page class's handler

    rows: list[dict[str, Any]] = []
    chosen: dict[str, Any] = {}
    open_dialog: str = ""

    @page_event(SIGNED_IN)
    async def ask(self, row_id: str, name: str) -> None:
        """Open the dialog `name` for one of the rows."""
        self._open(name)
        found = [row for row in self.rows if row["id"] == row_id]
        self.chosen = found[0] if found else {}
        if not found:
            self.open_dialog = ""

    @page_event(SIGNED_IN)
    async def show(self, name: str, is_open: bool) -> None:
        """Open or close the dialog `name`, which is for no row."""
        self._open(name if is_open else "")

    @page_event(SIGNED_IN)
    async def dismiss(self, is_open: bool) -> None:
        if not is_open:
            self.open_dialog = ""

    @page_event(SIGNED_IN)
    async def changed(self) -> Any:
        """Something was made or changed through the API: read the rows again."""
        self.open_dialog = ""
        return type(self).load

    def _open(self, name: str) -> None:
        if name in self._dialogs:
            self._actor.require(self._dialogs[name])
        self.open_dialog = name if name in self._dialogs else ""
