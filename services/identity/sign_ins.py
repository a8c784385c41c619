"""The history of signing in to an account, for its owner.

An attempt is noted as failed before it is judged, as it is counted (throttle.py); success corrects the note. So
the work is the same for an address that has no account, and no crash hides a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from services.core.ids import new_id
from services.core.listing import Column, Kind, Listing
from services.core.work import UnitOfWork
from services.identity import rules
from services.identity.clients import Client
from services.identity.user_agents import device_words

Failure = Literal["wrong_password", "wrong_code"]
Outcome = Literal["signed_in", "recovery_code", "password_only"]
OUTCOMES: tuple[str, ...] = (*get_args(Outcome), *get_args(Failure))


@dataclass(frozen=True, slots=True)
class SignInRow:
    """One attempt. `outcome` as in models/identity.py."""

    id: str
    at: datetime
    outcome: str
    address: str
    user_agent: str

    @property
    def device(self) -> str:
        """The browser in words its owner knows; empty for one that nobody knows."""
        return device_words(self.user_agent)


async def note_attempt(uow: UnitOfWork, email_key: str, *, client: Client, failure: Failure) -> str:
    """Note an attempt at the account of this address as failed; nothing if there is none. Returns the note's id."""
    noted = new_id("sgn")
    await uow.execute(
        "insert into sign_in (id, account_id, at, outcome, address, user_agent)"
        " select :id, a.id, :now, :outcome, :address, :user_agent from account a"
        " where a.email_key = :key and a.verified_at is not null",
        id=noted,
        now=uow.wall_now,
        outcome=failure,
        address=rules.shown_address(client.address),
        user_agent=rules.shown_user_agent(client.user_agent),
        key=email_key,
    )
    return noted


async def correct(
    uow: UnitOfWork, noted: str, outcome: Outcome | Failure, *, session_id: str | None = None
) -> None:
    """Say how a noted attempt ended after all."""
    await uow.execute(
        "update sign_in set outcome = :outcome, session_id = :session_id where id = :id",
        outcome=outcome,
        session_id=session_id,
        id=noted,
    )


async def forget(uow: UnitOfWork, noted: str) -> None:
    """Take back a note that another one stands for."""
    await uow.execute("delete from sign_in where id = :id", id=noted)


SIGN_INS = Listing(
    "sign_ins",
    row=SignInRow,
    needs=None,  # one's own
    source="sign_in",
    where="account_id = :actor_id",
    columns=(
        Column("id", "id", Kind.ID),
        Column("at", "at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("outcome", "outcome", Kind.ENUM, values=OUTCOMES, filterable=True),
        Column("address", "address", filterable=True),
        Column("user_agent", "user_agent"),
    ),
    sort="-at",
)
