"""One's own account. Seeds and recovery codes never come here: dialogs that show them talk to the REST API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import reflex as rx

from services.core.crossing import Reason, crossing
from services.core.errors import Malformed
from services.identity import authenticators, own_sessions, queries, sign_ins
from services.identity.user_agents import device_words
from state.base import SIGNED_IN, PageState, page_event
from state.format import instant_text
from state.session import SessionState

SESSIONS_SHOWN_MAX = 50
SIGN_INS_SHOWN = 20
FEW_RECOVERY_CODES = 3


class OwnAccountState(PageState, rx.State):
    """How the account stands, its open sessions, and one page of its history."""

    name: str = ""
    email: str = ""
    password_changed_at: str = ""
    two_step_at: str = ""
    recovery_codes: int = 0
    few_codes: bool = False
    sessions: list[dict[str, Any]] = []
    sign_ins: list[dict[str, Any]] = []
    older: list[str] = []  # time and id of the last row shown, when there are more
    is_first: bool = True

    @page_event(SIGNED_IN, reads=True)
    async def load(self) -> None:
        async with crossing(Reason.ACCOUNT, actor=self._actor) as uow:
            account = await queries.own_account(uow)
            two_step = await authenticators.two_step(uow)
            sessions = await own_sessions.own_sessions(uow, limit=SESSIONS_SHOWN_MAX)
            attempts = await sign_ins.own_sign_ins(uow, limit=SIGN_INS_SHOWN + 1)
        self.name, self.email = account.name, account.email
        self.password_changed_at = instant_text(account.password_changed_at)
        self.two_step_at = instant_text(two_step.enabled_at)
        self.recovery_codes = two_step.recovery_codes
        self.few_codes = two_step.enabled_at is not None and two_step.recovery_codes < FEW_RECOVERY_CODES
        self.sessions = [_session(row) for row in sessions]
        self._show_attempts(attempts)
        self.is_first = True

    @page_event(SIGNED_IN)
    async def show_older(self) -> None:
        """The next page of the history."""
        if len(self.older) != 2:
            return
        try:
            before = (datetime.fromisoformat(self.older[0]), self.older[1])
        except ValueError:
            raise Malformed(
                "This page of the history cannot be found.", next_step="Load the page again."
            ) from None
        async with crossing(Reason.ACCOUNT, actor=self._actor) as uow:
            self._show_attempts(await sign_ins.own_sign_ins(uow, before=before, limit=SIGN_INS_SHOWN + 1))
        self.is_first = False

    def _show_attempts(self, rows: list[sign_ins.SignInRow]) -> None:
        shown = rows[:SIGN_INS_SHOWN]
        self.sign_ins = [_attempt(row) for row in shown]
        self.older = [shown[-1].at.isoformat(), shown[-1].id] if len(rows) > SIGN_INS_SHOWN else []

    @page_event(SIGNED_IN)
    async def end(self, session_id: str) -> Any:
        """Sign out one of one's own browsers, of those on the page."""
        if session_id not in [row["id"] for row in self.sessions]:
            return OwnAccountState.load
        async with crossing(Reason.ACCOUNT, actor=self._actor) as uow:
            await own_sessions.end_own_session(uow, session_id)
        return OwnAccountState.load

    @page_event(SIGNED_IN)
    async def changed(self) -> Any:
        """Something was changed through the API; the shell shows the name, too."""
        return [OwnAccountState.load, SessionState.look]


def _session(row: own_sessions.SessionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "device": device_words(row.user_agent),
        "address": row.address,
        "created_at": instant_text(row.created_at),
        "last_seen_at": instant_text(row.last_seen_at),
        "second_factor": row.second_factor,
        "current": row.current,
    }


def _attempt(row: sign_ins.SignInRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": instant_text(row.at),
        "outcome": row.outcome,
        "device": device_words(row.user_agent),
        "address": row.address,
    }
