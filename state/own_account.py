"""One's own account and its history. Seeds and recovery codes never come here: their dialogs talk to the REST API."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core import listing_sql
from services.core.crossing import Reason, crossing
from services.core.listing import Listing
from services.identity import authenticators, own_sessions, queries, sign_ins
from state.base import SIGNED_IN, PageState, page_event
from state.format import instant_text
from state.listed import ListedState
from state.session import SessionState

SESSIONS_SHOWN_MAX = 50
SIGN_INS_SHOWN = 5  # the others are on a page of their own
FEW_RECOVERY_CODES = 3


class OwnAccountState(PageState, rx.State):
    """How the account stands, its open sessions, and the newest attempts to sign in."""

    name: str = ""
    email: str = ""
    password_changed_at: str = ""
    two_step_at: str = ""
    recovery_codes: int = 0
    few_codes: bool = False
    sessions: list[dict[str, Any]] = []
    sign_ins: list[dict[str, Any]] = []

    @page_event(SIGNED_IN, reads=True)
    async def load(self) -> None:
        async with crossing(Reason.ACCOUNT, actor=self._actor) as uow:
            account = await queries.own_account(uow)
            two_step = await authenticators.two_step(uow)
            sessions = await listing_sql.select(uow, own_sessions.SESSIONS, limit=SESSIONS_SHOWN_MAX)
            attempts = await listing_sql.select(uow, sign_ins.SIGN_INS, limit=SIGN_INS_SHOWN)
        self.name, self.email = account.name, account.email
        self.password_changed_at = instant_text(account.password_changed_at)
        self.two_step_at = instant_text(two_step.enabled_at)
        self.recovery_codes = two_step.recovery_codes
        self.few_codes = two_step.enabled_at is not None and two_step.recovery_codes < FEW_RECOVERY_CODES
        self.sessions = [_session(row) for row in sessions]
        self.sign_ins = [_attempt(row) for row in attempts]

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


class SignInsState(ListedState, rx.State):
    """One page of the attempts to sign in to one's own account."""

    _listing: ClassVar[Listing[Any]] = sign_ins.SIGN_INS
    _file_url: ClassVar[str] = "/api/v1/account/sign-ins"
    _filter_keys: ClassVar[tuple[str, ...]] = ("outcome", "at[gte]", "at[lt]")

    @page_event(SIGNED_IN, reads=True)
    async def load(self) -> None:
        async with crossing(Reason.ACCOUNT, actor=self._actor) as uow:
            found = await self._read(uow, sign_ins.SIGN_INS)
        self.rows = [_attempt(row) for row in found]


def _session(row: own_sessions.SessionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "device": row.device,
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
        "device": row.device,
        "address": row.address,
    }
