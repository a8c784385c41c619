"""The most that a call may cost: what is reserved for it before it is made. Pure.

Reservations for rate limits are estimates; this one is a bound, since a wallet must never fall below nothing. A token
has at least one byte, a template adds little to each message, and prompt and answer share the model's context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from models.budgets import BudgetMeasure
from services.budgets.rules import Terms, window_of
from services.catalog.rules import PriceBook
from services.catalog.rules import Terms as PriceTerms
from services.gateway.calls import Call
from services.gateway.directory import Route
from services.gateway.orders import Endpoint, Order
from services.gateway.purses import Budget, Cap, Wallet
from services.gateway.upstream_calls import longest_answer

TEMPLATE_TOKENS = 512  # of a chat template and the system prompt it may bring
MESSAGE_TOKENS_MAX = 64  # role and separators, whatever the template
_BESIDE_TEXT = frozenset({"tools", "functions", "response_format", "tool_choice", "function_call"})
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Most:
    """What a call may cost of its caller's wallet, and use of each budget that stops it."""

    cost: Decimal
    caps: list[Cap]


def of(
    call: Call, order: Order, route: Route, book: PriceBook, wallet: Wallet | None, budgets: Sequence[Terms]
) -> Most:
    """`budgets` are all that stop in the organisation; those that the call does not count in are left out."""
    at = call.started_at
    cost = _NOTHING if wallet is None else most_cost(order, route, book, currency=wallet.currency, at=at)
    caps: list[Cap] = []
    for terms in budgets:
        if not terms.covers(key_id=call.key_id, model=route.slug):
            continue
        if terms.measure is BudgetMeasure.TOKENS:
            amount = Decimal(most_tokens(order, route))
        else:
            amount = most_cost(order, route, book, currency=terms.currency, at=at)
        caps.append((Budget(terms, window_of(at, terms.period, terms.zone)), amount))
    return Most(cost, caps)


def most_tokens(order: Order, route: Route) -> int:
    """Tokens in and out."""
    tokens = most_prompt(order, route) + most_answer(order, route)
    return tokens if order.endpoint is Endpoint.EMBEDDINGS else min(tokens, route.context_tokens)


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


def _cost(terms: dict[str, PriceTerms], prompt: int, answer: int) -> Decimal:
    used = {"prompt_tokens": prompt, "completion_tokens": answer, "requests": 1}
    return sum((one.amount_for(Decimal(used[meter])) for meter, one in terms.items()), _NOTHING)
