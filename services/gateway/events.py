"""What happens to upstreams and models. Keys of upstreams are never part of it."""

from __future__ import annotations

from typing import ClassVar

from services.core.events import DomainEvent


class UpstreamAdded(DomainEvent):
    type: ClassVar[str] = "upstream.added"
    name: str
    base_url: str


class UpstreamChanged(DomainEvent):
    """`changed` names the fields, among them `api_key` when another key was set."""

    type: ClassVar[str] = "upstream.changed"
    changed: list[str]


class ModelAdded(DomainEvent):
    type: ClassVar[str] = "model.added"
    slug: str
    upstream_id: str


class ModelChanged(DomainEvent):
    type: ClassVar[str] = "model.changed"
    slug: str
    changed: list[str]
