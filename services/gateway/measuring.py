"""What is counted of each call."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Counter, Histogram

from services.core import metrics
from services.gateway.calls import Call


@lru_cache(maxsize=4_096)
def _counters(model: str, status: int) -> tuple[Counter, Histogram, Counter, Counter]:
    """The metrics of calls of this model and outcome. Finding them by label costs more than counting."""
    return (
        metrics.GATEWAY_REQUESTS.labels(model, str(status)),
        metrics.GATEWAY_SECONDS.labels(model),
        metrics.GATEWAY_TOKENS.labels(model, "prompt"),
        metrics.GATEWAY_TOKENS.labels(model, "completion"),
    )


def measure(call: Call, seconds: float) -> None:
    calls, duration, prompt, completion = _counters(call.model or "unknown", call.status)
    calls.inc()
    duration.observe(seconds)
    if call.tokens:
        prompt.inc(call.prompt_tokens)
        completion.inc(call.completion_tokens)
