"""How the SDK of Stripe reaches it from here, and what its failures mean to us.

The SDK's own clients bring pools, proxies and retries of their own. This one calls through services/core/outgoing.py
as everything here does, follows the trace, and keeps what surely was not sent apart from what may have arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

import stripe
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, ConnectionTimeoutError

from services.collection.declines import decline_of
from services.core.outgoing import guarded_session
from services.core.tracing import outgoing_call
from services.payments.providers import stripe_reading
from services.payments.providers.base import (
    Declined,
    ProviderUnavailable,
    RefusedByProvider,
    UnknownOutcome,
)
from services.payments.providers.stripe_terms import CALLS_AT_ONCE
from services.payments.providers.turns import Turns

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 30  # a bank may take its time; Stripe itself gives up sooner
_TIMEOUT = ClientTimeout(total=ANSWER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
_NEVER_SENT = (ClientConnectorError, ConnectionTimeoutError)
# Not for Stripe to know how long our calls take.
stripe.enable_telemetry = False


class StripeWire(stripe.HTTPClient):
    """The one HTTP client that the SDK gets. Connections are made in the loop that asks first."""

    name = "aiohttp"

    def __init__(self, allowed: Collection[str]) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._allowed = allowed
        self._session: ClientSession | None = None
        self._turns = Turns(CALLS_AT_ONCE)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        if self._session is None:
            self._session = guarded_session(self._allowed)
        path = urlsplit(url).path
        async with self._turns.one():
            try:
                with outgoing_call("stripe", method=method.upper(), path=path):
                    async with self._session.request(
                        method,
                        url,
                        headers=headers,
                        data=post_data or None,
                        timeout=_TIMEOUT,
                        allow_redirects=False,
                    ) as answer:
                        return await answer.read(), answer.status, answer.headers
            except (ClientError, TimeoutError, OSError) as error:
                raise stripe.APIConnectionError(type(error).__name__, should_retry=False) from error

    async def close_async(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


@contextmanager
def stripe_errors(*, changes: bool = True) -> Generator[None, None, None]:
    """Turns the SDK's errors into ours. A call that changes nothing has no unknown outcome."""
    try:
        yield
    except stripe.CardError as error:
        raise _declined(error) from error
    except stripe.RateLimitError as error:
        raise _unavailable("Stripe asks us to wait", error) from error
    except stripe.APIConnectionError as error:
        if changes and not isinstance(error.__cause__, _NEVER_SENT):
            raise UnknownOutcome(f"Stripe's answer was lost ({error.user_message}).") from error
        raise _unavailable("Stripe cannot be reached", error) from error
    except (stripe.InvalidRequestError, stripe.IdempotencyError) as error:
        _refused(error)
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise RefusedByProvider(
            "Stripe does not accept the key of this installation.", reason="key"
        ) from error
    except stripe.StripeError as error:
        # 409 says that the same key is under way, 5xx that Stripe itself does not know.
        if changes:
            raise UnknownOutcome(f"Stripe did not say what became of it ({error.http_status}).") from error
        raise _unavailable("Stripe has trouble", error) from error


def _declined(error: stripe.CardError) -> Declined:
    told = _told(error)
    decline = stripe_reading.decline(told)
    if decline is None:  # an answer of 402 without a body: declined all the same
        decline = decline_of(code="")
    about = told.get("payment_intent") or told.get("setup_intent")
    return Declined(decline, reference=stripe_reading.identifier(about))


def _refused(error: stripe.InvalidRequestError | stripe.IdempotencyError) -> NoReturn:
    told = _told(error)
    param = told.get("param") or ""
    kind = told.get("type") if told.get("type") == "idempotency_error" else ""
    raise RefusedByProvider(
        told.get("message") or "Stripe refused the request.",
        reason=told.get("code") or kind or (f"invalid_{param}" if param else "invalid_request"),
        parameter=param,
    ) from error


def _unavailable(words: str, error: stripe.StripeError) -> ProviderUnavailable:
    headers: Mapping[str, str] = error.headers or {}
    wish = headers.get("retry-after", "")
    return ProviderUnavailable(f"{words}.", retry_after_s=int(wish) if wish.isdecimal() else 0)


def _told(error: stripe.StripeError) -> dict[str, Any]:
    return stripe_reading.expanded(stripe_reading.expanded(error.json_body).get("error"))
