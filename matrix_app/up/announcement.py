"""What a person and a script need to use a running copy: address, demo accounts, a key, a line to paste."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.settings import Settings

BUILT_IN_MODEL = "smollm2-135m"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """Somebody to sign in as; `console` is the part of the product that opens for them."""

    console: str
    email: str
    password: str


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo data's loader left in `data_dir/demo.json`, readable by the owner alone."""

    accounts: list[DemoAccount]
    api_key: str
    organization: str

    @classmethod
    def read(cls, data_dir: Path) -> "Demo | None":
        """The demo of this data folder; None when it has none."""
        try:
            raw = json.loads((data_dir / "demo.json").read_text())
        except FileNotFoundError:
            return None
        accounts = [DemoAccount(a["console"], a["email"], a["password"]) for a in raw["accounts"]]
        return cls(accounts=accounts, api_key=raw["api_key"], organization=raw["organization"])


def as_json(settings: Settings, demo: Demo) -> dict[str, Any]:
    """The demo for scripts, with the address this copy has now."""
    return {
        "address": settings.public_url,
        "accounts": [{"console": a.console, "email": a.email, "password": a.password} for a in demo.accounts],
        "api_key": demo.api_key,
        "organization": demo.organization,
    }


def announcement(settings: Settings) -> str:
    """The lines that end a start."""
    lines = ["", f"Matrix runs at {settings.public_url}", ""]
    demo = Demo.read(settings.data_dir) if settings.mode == "demo" else None
    if demo is not None:
        lines += ["Sign in as", *_table(demo.accounts), "", "Ask the model", curl(settings, demo.api_key), ""]
    return "\n".join(lines)


def curl(settings: Settings, api_key: str) -> str:
    """One line that works when pasted."""
    body = json.dumps(
        {"model": BUILT_IN_MODEL, "messages": [{"role": "user", "content": "Say hello"}], "max_tokens": 40}
    )
    return (
        f"  curl {settings.public_url}/v1/chat/completions -H 'Authorization: Bearer {api_key}' "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def _table(accounts: list[DemoAccount]) -> list[str]:
    console = max((len(a.console) for a in accounts), default=0)
    email = max((len(a.email) for a in accounts), default=0)
    return [f"  {a.console:<{console}}  {a.email:<{email}}  {a.password}" for a in accounts]
