"""The most that a call may cost: what is reserved for it before it is made. Pure.

Reservations for rate limits are estimates; this one is a bound, since a wallet must never fall below nothing. A token
has at least one byte, a template adds little to each message, and prompt and answer share the model's context.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from services.catalog.rules import PriceBook, Terms
from services.gateway.directory import Route
from services.gateway.orders import Endpoint, Order
from services.gateway.upstream_calls import longest_answer

TEMPLATE_TOKENS = 512  # of a chat template and the system prompt it may bring
MESSAGE_TOKENS_MAX = 64  # role and separators, whatever the template
_BESIDE_TEXT = frozenset({"tools", "functions", "response_format", "tool_choice", "function_call"})
_NOTHING = Decimal(0)


def most_cost(order: Order, route: Route, book: PriceBook, *, currency: str, at: datetime) -> Decimal:
    """In major units of `currency`, exact. What has no price costs nothing."""
    terms = book.at(route.slug, currency, at)
    if not terms:
        return _NOTHING
    prompt, answer = most_prompt(order, route), most_answer(order, route)
    if order.endpoint is Endpoint.EMBEDDINGS:
        return _cost(terms, prompt, 0)
    room = route.context_tokens
    # The cost is linear in both, so it is highest where one of them takes all it can.
    return max(
        _cost(terms, prompt, min(answer, max(room - prompt, 0))),
        _cost(terms, min(prompt, max(room - answer, 0)), answer),
    )


def most_prompt(order: Order, route: Route) -> int:
    """Tokens that the prompt may turn out to have."""
    parts = _parts(order.parameters.get("messages", order.parameters.get("input")))
    bound = order.text_bytes + parts * MESSAGE_TOKENS_MAX + TEMPLATE_TOKENS
    if order.endpoint is Endpoint.EMBEDDINGS:
        return bound
    if not order.only_text or _BESIDE_TEXT & order.parameters.keys():
        return route.context_tokens  # pictures, tools and schemas are not text that was counted
    return min(bound, route.context_tokens)


def most_answer(order: Order, route: Route) -> int:
    """Tokens that the answer may have; without a limit of the caller's as many as the context holds."""
    if order.endpoint is Endpoint.EMBEDDINGS:
        return 0
    if route.target.builtin:
        return longest_answer(order, route)
    return min(order.max_tokens or route.context_tokens, route.context_tokens)


def _parts(given: Any) -> int:
    return len(cast("list[object]", given)) if isinstance(given, list) else 1


def _cost(terms: dict[str, Terms], prompt: int, answer: int) -> Decimal:
    used = {"prompt_tokens": prompt, "completion_tokens": answer, "requests": 1}
    return sum((one.amount_for(Decimal(used[meter])) for meter, one in terms.items()), _NOTHING)
