"""Calls to paste into a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from services.core.settings import settings
from services.gateway.queries import ModelRow


def first_call(models: Sequence[ModelRow]) -> str:
    """A call for somebody who has just made a key: `{secret}` is where the page puts it. Empty without models."""
    chosen = next((model for model in models if "chat" in model.endpoints), models[0] if models else None)
    return curl_for(settings().public_url, chosen.slug, chosen.endpoints, "{secret}") if chosen else ""


def curl_for(base_url: str, model: str, endpoints: Sequence[str], key: str) -> str:
    """A first call of `model` by curl, at the most telling of its endpoints. `key` stands where the key goes."""
    path, body = _call(model, endpoints)
    # No quote can come up in the body: a slug has none, and the words are ours.
    return (
        f"curl {base_url}{path} \\\n"
        f'  -H "Authorization: Bearer {key}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{_in_lines(body)}'"
    )


def _in_lines(body: dict[str, Any]) -> str:
    """JSON with one member a line, so that it can be read where there is little room."""
    members = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in body.items()]
    return "{" + ",\n       ".join(members) + "}"


def _call(model: str, endpoints: Sequence[str]) -> tuple[str, dict[str, Any]]:
    words = "Say hello in five words"
    if "chat" in endpoints:
        return "/v1/chat/completions", {
            "model": model,
            "max_tokens": 40,
            "messages": [{"role": "user", "content": words}],
        }
    if "embeddings" in endpoints:
        return "/v1/embeddings", {"model": model, "input": words}
    return "/v1/completions", {"model": model, "max_tokens": 40, "prompt": words}
