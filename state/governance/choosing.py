"""Choosing a plan for a customer, by terms that only staff may give."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import reflex as rx

from models.subscriptions import Collection
from models.types import ProrationBehaviour
from services.billing import policies
from services.catalog import plan_queries
from services.core.errors import Invalid, MatrixError
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import queries as subscription_queries
from services.subscriptions.arranging import Arrangement
from state import typed
from state.base import page_event
from state.choosing import Choosing
from state.governance.subscriptions import HOME
from state.problems import problem_of

WRITE = Capability.STAFF_SUBSCRIPTIONS_WRITE
OF_START = ("started_at", "trial_days", "anchor", "collection", "payment_days")
OF_CHANGE = ("behaviour",)
TERM_CHARACTERS_MAX = 40


class StaffChoiceState(Choosing, rx.State):
    """A new subscription of any organisation, or one that is to change.

    `terms` are as they were typed: when it begins, how long it is tried, what periods are counted from and how it is
    paid; of a change when it counts. What is empty is as for customers. `versions` are those of the plan that may be
    sold, by their numbers.
    """

    _needs: ClassVar[Capability] = WRITE
    _home: ClassVar[str] = HOME

    organization: dict[str, str] = {}
    terms: dict[str, str] = {}
    term_errors: dict[str, str] = {}
    versions: list[dict[str, str]] = []
    version: str = ""

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
            numbers = await plan_queries.published_numbers(uow, self.plan["id"]) if not standing else []
        chosen = self._version_chosen()
        self.version = str(chosen or "")
        self.versions = [{"id": str(one), "label": str(one)} for one in numbers]
        self.organization = {"id": whose.id, "name": whose.name, "zone": whose.timezone}
        await self._look()

    @page_event(WRITE)
    async def choose_version(self, number: str) -> Any:
        """Sell that version of the plan, or the one that is sold to everybody."""
        return self._go("version", number)

    @page_event(WRITE)
    async def apply_terms(self, values: dict[str, Any]) -> None:
        """Look at what it comes to by other terms."""
        names = OF_CHANGE if self.subscription else OF_START
        given = {name: _typed(values.get(name))[:TERM_CHARACTERS_MAX] for name in names}
        self.terms = {name: said for name, said in given.items() if said}
        await self._look()

    def _choice_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return self._staff_work(within=self.organization["id"])

    def _arranged(self) -> Arrangement:
        return Arrangement(**self._said(OF_START), plan_version=int(self.version) if self.version else None)

    def _behaviour(self) -> ProrationBehaviour | None:
        return self._said(OF_CHANGE).get("behaviour")

    def _said(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: _READ[name](said, name) for name, said in self.terms.items() if name in names}

    def _version_chosen(self) -> int | None:
        said = self._query.get("version", "")
        return (
            int(said)
            if self._query.get("plan") and said.isascii() and said.isdigit() and len(said) < 10
            else None
        )

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


def _collection(said: str, field: str) -> Collection:
    try:
        return Collection(said)
    except ValueError:
        raise Invalid("Invoices are charged or sent.", field=field) from None


_READ: dict[str, Callable[[str, str], Any]] = {
    "started_at": typed.instant,
    "trial_days": typed.whole,
    "anchor": typed.instant,
    "behaviour": _behaviour,
    "collection": _collection,
    "payment_days": typed.whole,
}
