"""Security headers of pages: only scripts that were built with the product run.

The build puts small scripts into its documents (the theme before first paint, React's start). Each is allowed
by its hash, so anything else that finds its way into a document does not run. Reflex evaluates the
scripts that the server sends over its websocket, hence 'unsafe-eval'; docs/decisions/0008-page-headers.md.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

FOR_EVER = b"public, max-age=31536000, immutable"
ASK_FIRST = b"no-cache"  # may be kept, but asks whether it is still the newest
NEVER = b"no-store"
# Vite writes a hash of the content into these names, so what is behind one never changes.
_HASHED = re.compile(r"/assets/(?:[\w.-]+/)*[\w.~-]+-[\w-]{8}\.(?:js|css|woff2?|svg|png)")
_HTTPS_ONLY = ((b"strict-transport-security", b"max-age=31536000"),)
_UNLISTED = ((b"x-robots-tag", b"noindex, nofollow, noarchive"), (b"referrer-policy", b"no-referrer"))
_WITHOUT_DOCUMENT = "404"  # the document for all addresses without one of their own
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


def _source(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def caching(path: str, status: int) -> tuple[bytes, bytes]:
    """How long a browser may keep what the pages' app answers at `path`: a document must not outlive its build."""
    if status == 307:  # where it leads is for who asked
        return b"cache-control", NEVER
    kept = status in (200, 206, 304) and _HASHED.fullmatch(path) is not None
    return b"cache-control", FOR_EVER if kept else ASK_FIRST


class PageHeaders:
    """Headers for every answer of the pages' app, as ASGI wants them.

    The policy of a document names its own scripts. Those of all documents would be more than proxies take as headers.
    """

    def __init__(self, build: Path, *, https: bool) -> None:
        self._common = [
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
            (b"cross-origin-opener-policy", b"same-origin"),
            *transport_headers(https=https),
        ]
        scripts: dict[str, set[str]] = {}
        for document in build.rglob("*.html"):
            sources = map(_source, _INLINE.findall(document.read_text("utf-8")))
            scripts.setdefault(_page(document.relative_to(build).as_posix()), set()).update(sources)
        self._policies = {page: _policy(found) for page, found in scripts.items()}
        self._without_document = self._policies.get(_WITHOUT_DOCUMENT, _policy(()))

    def of(self, path: str) -> list[tuple[bytes, bytes]]:
        """The headers of what is answered at `path`."""
        policy = self._policies.get(_page(path), self._without_document)
        return [(b"content-security-policy", policy), *self._common]


def _page(path: str) -> str:
    """The page behind any address of its document: with and without ending, as a folder, with slashes too many."""
    return posixpath.normpath(f"/{path}").strip("/").removesuffix(".html").removesuffix("index").strip("/")


def _policy(scripts: Iterable[str]) -> bytes:
    policy = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", "'unsafe-eval'", *sorted(scripts)]),
        "style-src": "'self' 'unsafe-inline'",  # React writes style attributes
        "img-src": "'self' data: blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in policy.items()).encode()


def transport_headers(*, https: bool) -> tuple[tuple[bytes, bytes], ...]:
    """What every answer says of how it is to be reached: pages, API and gateway are one host."""
    return _HTTPS_ONLY if https else ()


def unlisted(path: str) -> tuple[tuple[bytes, bytes], ...]:
    """Besides, where the address itself is a secret: nobody lists it, and no site that it leads to hears of it."""
    return _UNLISTED if path.startswith("/pay/") else ()
