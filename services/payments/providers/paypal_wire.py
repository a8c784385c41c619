"""How PayPal is asked, and what its failures mean to us.

Its SDK covers half of what is needed; plain calls cover all.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
)
from yarl import URL

from services.core.outgoing import checked_url, guarded_session, read_within
from services.core.tracing import outgoing_call
from services.payments.providers.base import (
    Declined,
    ProviderUnavailable,
    RefusedByProvider,
    UnknownOutcome,
)
from services.payments.providers.paypal_declines import DECLINES
from services.payments.providers.paypal_terms import CALLS_AT_ONCE
from services.payments.providers.turns import Turns

CERTIFICATE_NAME = "messageverificationcerts.paypal.com"  # whom certificates of events are made out to
LIVE, SANDBOX = "https://api-m.paypal.com", "https://api-m.sandbox.paypal.com"
CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 30
ANSWER_BYTES_MAX = 16_000_000
CERTIFICATE_BYTES_MAX = 100_000
_TIMEOUT = ClientTimeout(total=ANSWER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
_NEVER_SENT = (ClientConnectorError, ConnectionTimeoutError)

_PATH = re.compile(r"(?:/[A-Za-z0-9_-]+)+")  # an identifier goes into it and may not lead elsewhere

Thing = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PayPalAccount:
    """Ours at PayPal. `webhook_id` is that of our listener, which signatures are made for.

    `base` is PayPal's address, its sandbox's, or that of a test provider, whose events are signed by a certificate
    under `trusted` (PEM) instead of one that this machine trusts, and whose address may be private only if `allowed`
    names its host:port.
    """

    client: str
    secret: str = field(repr=False)
    webhook_id: str = ""
    base: str = LIVE
    certificate_name: str = CERTIFICATE_NAME
    trusted: str = field(repr=False, default="")
    allowed: frozenset[str] = frozenset()


class PayPalWire:
    """Connections of one process, and the token they share until PayPal wants another.

    Raises AddressRefused for a `base` that may not be called.
    """

    def __init__(self, account: PayPalAccount) -> None:
        self._account = account
        self._base = checked_url(account.base, allowed=account.allowed)
        self._session: ClientSession | None = None
        self._token = ""
        self._asking = asyncio.Lock()
        self._turns = Turns(CALLS_AT_ONCE)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(
        self,
        method: str,
        path: str,
        body: Thing | None = None,
        *,
        key: str = "",
        query: Mapping[str, str] | None = None,
        form: tuple[str, bytes] | None = None,
    ) -> Thing:
        """What PayPal answers. `form` is sent instead of a `body`, by its content type. Only a GET has no unknown
        outcome. See base.py for what is raised."""
        if not _PATH.fullmatch(path):
            raise RefusedByProvider("This is no identifier of PayPal's.", reason="invalid_reference")
        changes = method != "GET"
        headers = {"Prefer": "return=representation", **({"PayPal-Request-Id": key} if key else {})}
        for token in (await self._bearer(), ""):
            bearer = {"Authorization": f"Bearer {token or await self._bearer()}"}
            sent: Thing | bytes | None = body
            if form is not None:
                headers["Content-Type"], sent = form
            status, told, answered = await self._sent(method, path, sent, headers | bearer, query, changes)
            if status != 401:
                return self._read(status, told, answered, changes)
            self._token = ""  # it has run out: nothing was done, so it is asked once more
        raise RefusedByProvider("PayPal does not accept the key of this installation.", reason="key")

    async def _bearer(self) -> str:
        async with self._asking:
            if not self._token:
                named = b64encode(f"{self._account.client}:{self._account.secret}".encode()).decode()
                headers = {
                    "Authorization": f"Basic {named}",
                    "Content-Type": "application/x-www-form-urlencoded",
                }
                status, told, answered = await self._sent(
                    "POST", "/v1/oauth2/token", b"grant_type=client_credentials", headers, None, False
                )
                if status in (400, 401, 403):
                    raise RefusedByProvider(
                        "PayPal does not accept the key of this installation.", reason="key"
                    )
                self._token = str(self._read(status, told, answered, False)["access_token"])
            return self._token

    async def _sent(
        self, method: str, path: str, body: Thing | bytes | None, headers: dict[str, str],
        query: Mapping[str, str] | None, changes: bool,
    ) -> tuple[int, bytes, Mapping[str, str]]:  # fmt: skip
        if self._session is None:
            self._session = guarded_session(self._account.allowed)
        data = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else None
        kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
        async with self._turns.one():
            try:
                with outgoing_call("paypal", method=method, path=path):
                    async with self._session.request(
                        method, URL(self._base + path), headers={**kind, **headers}, data=data,
                        params=dict(query or {}), timeout=_TIMEOUT, allow_redirects=False,
                    ) as answer:  # fmt: skip
                        raw = await read_within(answer.content, ANSWER_BYTES_MAX)
                        return answer.status, raw, answer.headers
            except (ClientError, TimeoutError, OSError) as error:
                if changes and not isinstance(error, _NEVER_SENT):
                    raise UnknownOutcome(f"PayPal's answer was lost ({type(error).__name__}).") from error
                raise ProviderUnavailable("PayPal cannot be reached.") from error

    def _read(self, status: int, raw: bytes, headers: Mapping[str, str], changes: bool) -> Thing:
        told = _parsed(raw)
        if 200 <= status < 300:
            return told
        details = cast("list[Thing]", told.get("details") or [{}])
        issue = str(details[0].get("issue") or told.get("name") or f"status_{status}")
        if status == 429:
            wish = headers.get("Retry-After", "")
            raise ProviderUnavailable(
                "PayPal asks us to wait.", retry_after_s=int(wish) if wish.isdecimal() else 0
            )
        if status >= 500 or issue == "PREVIOUS_REQUEST_IN_PROGRESS" or status == 409:
            if changes:
                raise UnknownOutcome(f"PayPal did not say what became of it ({issue}).")
            raise ProviderUnavailable("PayPal has trouble.")
        if issue in DECLINES:
            raise Declined(DECLINES[issue])
        raise RefusedByProvider(
            str(details[0].get("description") or told.get("message") or "PayPal refused the request."),
            reason=issue.lower(),
            parameter=str(details[0].get("field") or ""),
        )

    async def certificate(self, url: str) -> bytes:
        """The PEM at `url`, which the caller has found to be PayPal's. Raises ProviderUnavailable."""
        if self._session is None:
            self._session = guarded_session(self._account.allowed)
        try:
            async with self._session.get(URL(url), timeout=_TIMEOUT, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise ProviderUnavailable("PayPal's certificate cannot be had.")
                return await read_within(answer.content, CERTIFICATE_BYTES_MAX)
        except (ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable("PayPal's certificate cannot be had.") from error


def _parsed(raw: bytes) -> Thing:
    try:
        told: Any = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError:
        return {}
    return cast(Thing, told) if isinstance(told, dict) else {}
