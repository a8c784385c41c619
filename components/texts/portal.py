"""English texts of the client portal and of the navigation."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "nav.console.portal": "Portal",
    "nav.console.governance": "Governance",
    "nav.overview": "Overview",
    "nav.usage": "Usage",
    "nav.requests": "Requests",
    "nav.keys": "API keys",
    "nav.models": "Models",
    "nav.playground": "Playground",
    "nav.group.build": "Build",
    "nav.organizations": "Organisations",
    "nav.upstreams": "Upstreams",
    "nav.prices": "Price book",
    "nav.new_organization": "New organisation",
    "overview.title": "Overview",
    "overview.text": "What is being used right now, and what does it cost?",
}
