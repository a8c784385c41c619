"""A bank beside the two providers: what came to our account there and what left it, and the statements that say so."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta

from models.money import Money
from services.files.rules import Kind
from services.reconciliation import statements
from services.reconciliation.bank_csv import Mapped
from services.reconciliation.pulling import Puller
from services.reconciliation.statements import Doors
from tests.integration.payments.money_house import House, Nothing

NUMBER = "DE02120300000000202051"
HEAD = "date,amount,currency,reference,description,iban"


@dataclass(frozen=True, slots=True)
class Entry:
    """`ref` is the bank's name for it, and `names` the invoice that whoever paid wrote down."""

    ref: str
    on: date
    money: Money
    wrote: str = ""
    names: str | None = None

    def line(self) -> str:
        money = self.money
        return f"{self.on},{money.amount:f},{money.currency},{self.ref},{self.wrote},{NUMBER}"


@dataclass
class Bank:
    """The account of a house. `told` counts the entries that were on a statement, and `cut` is one whose import ended
    in the middle."""

    house: House
    entries: list[Entry] = field(default_factory=list[Entry])
    told: int = 0
    cut: bytes = b""

    def moves(
        self, minor: int, currency: str, wrote: str = "", *, ref: str = "", names: str | None = None
    ) -> None:
        name = ref or f"B{len(self.entries)}"
        on = self.house.clock.at.date()
        self.entries.append(Entry(name, on, Money(minor, currency), wrote, names))

    async def tell(self, again: int) -> None:
        """Staff imports the one that was cut off, and then one of what is new, which has the last so many lines
        again."""
        if self.cut:
            await self._import(self.cut)
        there = len(self.entries)
        lines = self.entries[max(self.told - again, 0) : there]
        if not lines:
            raise Nothing
        self.cut = "\n".join((HEAD, *(one.line() for one in lines))).encode()
        await self._import(self.cut)
        self.told = there

    async def _import(self, raw: bytes) -> None:
        house, lines = self.house, statements.lines_of(raw, Kind.CSV, Mapped())
        async with house.staff_work(None) as uow:
            name, digest = f"{len(self.entries)}.csv", hashlib.sha256(raw).digest()
            statement_id = await statements.keep(uow, lines, name=name, kind=Kind.CSV, sha256=digest)
        house.turn(timedelta(seconds=1))  # what was imported is read a moment later
        doors = Doors(lambda: house.staff_work(None), house.staff_work)
        await statements.match(doors, Puller(house.cashier, clock=house.clock), statement_id)
        self.cut = b""

    def holds(self) -> Counter[str]:
        """By currency, in minor units: as far as it was told."""
        held = Counter[str]()
        for one in self.entries[: self.told]:
            held[one.money.currency] += one.money.minor
        return held
