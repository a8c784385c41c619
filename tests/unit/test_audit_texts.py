"""Each thing that can happen has a sentence in the audit log, and no sentence outlives its event."""

from __future__ import annotations

import importlib
import pkgutil

import services
from components.texts import texts_under
from services.core.events import DomainEvent


def declared() -> set[str]:
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if module.name.endswith(".events"):
            importlib.import_module(module.name)
    waiting, found = [DomainEvent], set[str]()
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        found |= {kind.type for kind in kinds if kind.__module__.startswith("services.")}
    return found


def test_every_event_has_a_sentence() -> None:
    assert declared() == set(texts_under("audit.event"))
