"""Choosing a plan for a customer, by terms that only staff may give."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import reflex as rx

from models.types import ProrationBehaviour
from services.billing import policies
from services.core.errors import Invalid, MatrixError
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import queries as subscription_queries
from state import typed
from state.base import page_event
from state.choosing import Choosing
from state.governance.subscriptions import HOME
from state.problems import problem_of

WRITE = Capability.STAFF_SUBSCRIPTIONS_WRITE
OF_START, OF_CHANGE = ("started_at", "trial_days", "anchor"), ("behaviour",)
TERM_CHARACTERS_MAX = 40


class StaffChoiceState(Choosing, rx.State):
    """A new subscription of any organisation, or one that is to change.

    `terms` are as they were typed: when it begins, how long it is tried and what periods are counted from; of a change
    when it counts. What is empty is as for customers.
    """

    _needs: ClassVar[Capability] = WRITE
    _home: ClassVar[str] = HOME

    organization: dict[str, str] = {}
    terms: dict[str, str] = {}
    term_errors: dict[str, str] = {}

    @page_event(WRITE, reads=True)
    async def load(self) -> None:
        path = self.router.url.path.rstrip("/")
        named = path.rsplit("/", 2)[
            -2
        ]  # /organizations/[organization_id]/subscribe, /subscriptions/[…]/change
        standing = named if path.endswith("/change") else ""
        self.organization = {}
        async with self._staff_work() as uow:
            organization_id = await subscription_queries.organization_of(uow, named) if standing else named
        async with self._staff_work(within=organization_id) as uow:
            whose = await policies.organization_of(uow)
            await self._open(uow, whose.currency, subscription_id=standing)
        self.organization = {"id": whose.id, "name": whose.name, "zone": whose.timezone}
        await self._look()

    @page_event(WRITE)
    async def apply_terms(self, values: dict[str, Any]) -> None:
        """Look at what it comes to by other terms."""
        names = OF_CHANGE if self.subscription else OF_START
        given = {name: _typed(values.get(name))[:TERM_CHARACTERS_MAX] for name in names}
        self.terms = {name: said for name, said in given.items() if said}
        await self._look()

    def _choice_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return self._staff_work(within=self.organization["id"])

    def _terms(self) -> dict[str, Any]:
        return {name: _READ[name](said, name) for name, said in self.terms.items()}

    def _forget_terms(self) -> None:
        self.terms, self.term_errors = {}, {}

    async def _look(self) -> None:
        self.term_errors = {}
        await super()._look()

    def _refuse(self, error: MatrixError) -> None:
        field = getattr(error, "field", "")
        if field in _READ:
            self.term_errors = {field: problem_of(error, "").text}
        else:
            super()._refuse(error)


def _typed(value: Any) -> str:
    """An empty field is null; 0 days of trial are a choice."""
    return "" if value is None else str(value)


def _behaviour(said: str, field: str) -> ProrationBehaviour:
    try:
        return ProrationBehaviour(said)
    except ValueError:
        raise Invalid("There is no such way to bill a change.", field=field) from None


_READ: dict[str, Callable[[str, str], Any]] = {
    "started_at": typed.instant,
    "trial_days": typed.whole,
    "anchor": typed.instant,
    "behaviour": _behaviour,
}
