"""The demo's calling card: `demo.json` in the data folder, readable by its owner alone."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from models.types import OrganizationKind, Role
from services.demo.stories import STORIES, Person, Story

FILE = "demo.json"
CONSOLE_OF_KIND = {
    OrganizationKind.CLIENT: "portal",
    OrganizationKind.PARTNER: "partner",
    OrganizationKind.DEVELOPER: "developer",
    OrganizationKind.OPERATOR: "governance",
}
# Who is worth a line at the end of a start; docs/getting-started.md names the others.
_INTRODUCED = frozenset({Role.OWNER, Role.OPERATOR, Role.GOVERNANCE, Role.SUPPORT})


@dataclass(frozen=True, slots=True)
class CardAccount:
    console: str
    email: str
    password: str
    name: str
    role: str
    organization: str


@dataclass(frozen=True, slots=True)
class Card:
    """Where the demo runs and how to get in. `organization` is the id of the one `api_key` belongs to."""

    address: str
    accounts: list[CardAccount]
    api_key: str
    organization: str


def accounts() -> list[CardAccount]:
    """The demo's accounts by console: clients first, staff last."""
    order = list(CONSOLE_OF_KIND)
    stories = sorted(STORIES, key=lambda story: order.index(story.kind))
    return [_account(story, person) for story in stories for person in story.people if _introduced(person)]


def _introduced(person: Person) -> bool:
    return person.role in _INTRODUCED


def _account(story: Story, person: Person) -> CardAccount:
    return CardAccount(
        console=CONSOLE_OF_KIND[story.kind],
        email=story.address_of(person),
        password=person.password,
        name=person.name,
        role=person.role,
        organization=story.name,
    )


def read_secret(data_dir: Path) -> str | None:
    """The API key on the card; None when there is no card or it cannot be read."""
    try:
        secret = json.loads((data_dir / FILE).read_text())["api_key"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return secret if isinstance(secret, str) else None


def write(data_dir: Path, card: Card) -> None:
    """Replace the card as a whole if it says something else: a reader sees the old or the new. Raises OSError."""
    text = json.dumps(asdict(card), indent=2) + "\n"
    path = data_dir / FILE
    if path.exists() and path.read_text() == text:
        return
    draft = data_dir / f".{FILE}.{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
