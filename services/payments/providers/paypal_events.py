"""Whether an event is PayPal's, of now, and for our listener: developer.paypal.com/api/rest/webhooks/rest, "verify".

The signature covers the listener's own identifier, so an event of another account never passes.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import zlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import verification

from services.payments.providers import paypal_reading as reading
from services.payments.providers.base import WebhookRefused
from services.payments.providers.paypal_wire import PayPalAccount
from services.payments.providers.values import ProviderEvent

EVENT_AGE_MAX = timedelta(minutes=5)  # of its transmission, either way
EVENT_BYTES_MAX = 1_000_000
CERTIFICATES_MAX = 8
ALGORITHM = "SHA256withRSA"


class Verifier:
    """Keeps the certificates it has fetched; each is judged again at every use."""

    def __init__(self, account: PayPalAccount, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        self._account = account
        self._fetch = fetch
        self._kept: dict[str, bytes] = {}

    async def verified(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> ProviderEvent:
        if len(raw) > EVENT_BYTES_MAX:
            raise WebhookRefused("it is too large")
        said = {name.lower(): value for name, value in headers.items()}
        identifier, sent = said.get("paypal-transmission-id", ""), said.get("paypal-transmission-time", "")
        if said.get("paypal-auth-algo") != ALGORITHM:
            raise WebhookRefused("it is not signed as PayPal signs")
        try:
            age = abs(now - reading.at(sent))
        except (ValueError, TypeError) as error:
            raise WebhookRefused("it does not say when it was sent") from error
        if age > EVENT_AGE_MAX:
            raise WebhookRefused("it is too old or from the future")
        public = await self._public_key(said.get("paypal-cert-url", ""), now)
        text = f"{identifier}|{sent}|{self._account.webhook_id}|{zlib.crc32(raw)}"
        try:
            signature = base64.b64decode(said.get("paypal-transmission-sig", ""), validate=True)
            public.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, binascii.Error) as error:
            raise WebhookRefused("its signature is missing or wrong") from error
        try:
            return reading.event(json.loads(raw))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise WebhookRefused("it is no event") from error

    async def _public_key(self, url: str, now: datetime) -> rsa.RSAPublicKey:
        self._require_theirs(url)
        if url not in self._kept:
            if len(self._kept) >= CERTIFICATES_MAX:
                self._kept.clear()
            self._kept[url] = await self._fetch(url)
        try:
            leaf, *between = x509.load_pem_x509_certificates(self._kept[url])
            self._policy(now).verify(leaf, between)
        except (ValueError, verification.VerificationError) as error:
            del self._kept[url]
            raise WebhookRefused("its certificate is not PayPal's") from error
        public = leaf.public_key()
        if not isinstance(public, rsa.RSAPublicKey):
            raise WebhookRefused("its certificate is not PayPal's")
        return public

    def _require_theirs(self, url: str) -> None:
        """Only PayPal's own hosts are asked: whoever sends an event would choose otherwise whom we call."""
        try:
            parts = urlsplit(url)
            host, base = parts.hostname or "", urlsplit(self._account.base)
            ours = self._account.trusted and (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
        except ValueError as error:
            raise WebhookRefused("its certificate is not at PayPal") from error
        plain = parts.port in (None, 443) and not parts.username
        if not ours and not (parts.scheme == "https" and plain and host.endswith(".paypal.com")):
            raise WebhookRefused("its certificate is not at PayPal")

    def _policy(self, now: datetime) -> verification.ServerVerifier:
        name: Any = x509.DNSName(self._account.certificate_name)
        return (
            verification.PolicyBuilder()
            .store(verification.Store(self._roots()))
            .time(now)
            .build_server_verifier(name)
        )

    def _roots(self) -> list[x509.Certificate]:
        if self._account.trusted:
            return x509.load_pem_x509_certificates(self._account.trusted.encode())
        known = ssl.create_default_context().get_ca_certs(binary_form=True)
        return [x509.load_der_x509_certificate(one) for one in known]
