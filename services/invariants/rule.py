"""What an invariant is: one query that finds nothing, and what it means when it finds something."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar


class Invariant:
    """Something that is true at every moment, whoever is at work.

    `query` is one statement, hence one snapshot; each row it finds is one thing that is wrong. It may use `:now`
    (wall time), `:since` (`window` before that) and must stop after `:evidence_max` rows. Its columns are ids,
    counts and instants: evidence is kept and shown to staff, so it names rows and never says what they hold.
    """

    name: ClassVar[str]  # kept in the database and used in alerts: do not rename
    means: ClassVar[str]  # what a person should know who sees it broken
    query: ClassVar[str]
    window: ClassVar[timedelta] = timedelta(days=1)
    evidence_max: ClassVar[int] = 10
