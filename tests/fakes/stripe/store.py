"""What the fake knows, in memory and in one SQLite file, so that it goes on where it was ended, by whatever signal."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Thing = dict[
    str, Any
]  # one object of the API; names that begin with an underscore are ours and never answered


class Store:
    """Objects by identifier, and by kind in the order they came. Changes are kept with `put` and `commit`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(folder / "stripe.sqlite3", isolation_level=None)
        # A killed process loses nothing so; a power cut may, which is nothing to a fake.
        self._file.execute("pragma journal_mode=wal")
        self._file.execute("pragma synchronous=off")
        self._file.execute(
            "create table if not exists things (id text primary key, kind text, rank integer, body text)"
        )
        self._things: dict[str, Thing] = {}
        self._order: defaultdict[str, list[str]] = defaultdict(
            list
        )  # of kinds that are listed: never shrinks
        self._inner: defaultdict[str, dict[str, None]] = defaultdict(
            dict
        )  # of our own kinds, which come and go
        self._place: dict[str, int] = {}
        self._changed: dict[str, None] = {}
        self._rank: dict[str, int] = {}  # over all kinds, and never used again
        self._ranks = 0
        for identifier, kind, body, rank in self._file.execute(
            "select id, kind, body, rank from things order by rank"
        ):
            self._add(kind, identifier, json.loads(body), rank)

    def _add(self, kind: str, identifier: str, thing: Thing, rank: int) -> None:
        self._rank[identifier] = self._ranks = rank
        self._things[identifier] = thing
        if kind.startswith("_"):
            self._inner[kind][identifier] = None
            return
        self._place[identifier] = len(self._order[kind])
        self._order[kind].append(identifier)

    def put(self, thing: Thing) -> Thing:
        identifier = thing["id"]
        if identifier not in self._things:
            self._add(thing["object"], identifier, thing, self._ranks + 1)
        self._things[identifier] = thing
        self._changed[identifier] = None
        return thing

    def drop(self, identifier: str) -> None:
        thing = self._things.pop(identifier, None)
        if thing is not None:
            self._inner[thing["object"]].pop(identifier, None)
            self._changed[identifier] = None

    def forget(self, *, but: frozenset[str]) -> None:
        """All is gone, but what has these identifiers."""
        for identifier in self._things.keys() - but:
            self.drop(identifier)
        for kind in self._order:
            self._order[kind] = []
        self._place.clear()

    def find(self, identifier: str) -> Thing | None:
        return self._things.get(identifier)

    def of(self, kind: str) -> Iterator[Thing]:
        """Oldest first."""
        names = list(self._inner[kind] if kind.startswith("_") else self._order[kind])
        return (self._things[one] for one in names if one in self._things)

    def first(self, kind: str, fits: Callable[[Thing], bool]) -> Thing | None:
        """The oldest of our own kind that fits, found without a look at those behind it."""
        return next((one for name in self._inner[kind] if fits(one := self._things[name])), None)

    def newest_first(self, kind: str, *, after: str = "") -> Iterator[Thing]:
        order = self._order[kind]
        start = self._place[after] if after else len(order)
        return (self._things[order[n]] for n in range(start - 1, -1, -1) if order[n] in self._things)

    def oldest_first(self, kind: str, *, after: str) -> Iterator[Thing]:
        order = self._order[kind]
        return (self._things[one] for one in order[self._place[after] + 1 :] if one in self._things)

    def commit(self) -> None:
        if not self._changed:
            return
        rows: list[tuple[str, str, int, str]] = []
        gone: list[tuple[str]] = []
        for identifier in self._changed:
            thing = self._things.get(identifier)
            if thing is None:
                gone.append((identifier,))
            else:
                rows.append((identifier, thing["object"], self._rank[identifier], json.dumps(thing)))
        self._file.execute("begin")
        self._file.executemany("insert or replace into things values (?, ?, ?, ?)", rows)
        self._file.executemany("delete from things where id = ?", gone)
        self._file.execute("commit")
        self._changed.clear()

    def close(self) -> None:
        self.commit()
        self._file.close()
