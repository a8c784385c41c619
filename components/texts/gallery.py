"""Texts of the component gallery, where made-up content shows each piece in its states."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "gallery.title": "Component gallery",
    "gallery.text": "Each piece in its states. What looks wrong here looks wrong everywhere.",
    "gallery.nav.group": "Pieces",
    "gallery.nav.overview": "Overview",
    "gallery.nav.keys": "API keys",
    "gallery.nav.usage": "Usage",
    "gallery.nav.playground": "Playground",
    "gallery.nav.gallery": "Gallery",
    "gallery.nav.settings": "Settings",
    "gallery.keys": "API keys",
    "gallery.col.name": "Name",
    "gallery.col.prefix": "Prefix",
    "gallery.col.status": "Status",
    "gallery.col.requests": "Requests",
    "gallery.col.cost": "Cost",
    "gallery.col.used": "Last used",
    "gallery.status.active": "Active",
    "gallery.status.expiring": "Expires soon",
    "gallery.status.revoked": "Revoked",
}
