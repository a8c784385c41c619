"""What a call may say: everything the official client can send is known here, or refused for a reason."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from openai.resources.chat import AsyncCompletions as AsyncChats
from openai.resources.completions import AsyncCompletions
from openai.resources.embeddings import AsyncEmbeddings

from services.gateway.orders import PARAMETERS, Endpoint

OF_THE_CLIENT = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}  # never in a body
REFUSED: dict[Endpoint, dict[str, str]] = {endpoint: {} for endpoint in Endpoint}  # and why


@pytest.mark.parametrize(
    ("endpoint", "create"),
    [
        (Endpoint.CHAT, AsyncChats.create),
        (Endpoint.COMPLETIONS, AsyncCompletions.create),
        (Endpoint.EMBEDDINGS, AsyncEmbeddings.create),
    ],
)
def test_every_parameter_of_the_official_client_is_known(
    endpoint: Endpoint, create: Callable[..., Any]
) -> None:
    parameters = set(inspect.signature(create).parameters) - OF_THE_CLIENT

    assert parameters - PARAMETERS[endpoint].keys() == REFUSED[endpoint].keys()
