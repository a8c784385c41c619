"""Each thing that can happen has a sentence in the audit log, each place and reason of an opening has words, and none
outlives what it says."""

from __future__ import annotations

import importlib
import pkgutil

import services
from components.texts import texts_under
from services.core import runtime
from services.core.events import DomainEvent
from services.core.openings import Purpose
from services.core.sealed_columns import sealed_columns


def events() -> set[type[DomainEvent]]:
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if module.name.endswith(".events"):
            importlib.import_module(module.name)
    waiting, found = [DomainEvent], set[type[DomainEvent]]()
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        found |= {kind for kind in kinds if kind.__module__.startswith("services.")}
    return found


def test_every_event_has_a_sentence() -> None:
    assert {kind.type for kind in events()} == set(texts_under("audit.event"))


def test_every_opening_can_be_told_of() -> None:
    runtime.know_all_tables()
    assert set(texts_under("openings.place_of")) == {str(one) for one in sealed_columns()}
    assert set(texts_under("openings.purpose_of")) == set(Purpose)
