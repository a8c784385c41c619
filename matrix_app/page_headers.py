"""Security headers of pages: only scripts that were built with the product run.

The build puts small scripts into its documents (the theme before first paint, React's start). Each is allowed
by its hash, so anything else that finds its way into a document does not run. Reflex evaluates the
scripts that the server sends over its websocket, hence 'unsafe-eval'; docs/decisions/0008-page-headers.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

FOR_EVER = b"public, max-age=31536000, immutable"
ASK_FIRST = b"no-cache"  # may be kept, but asks whether it is still the newest
# Vite writes a hash of the content into these names, so what is behind one never changes.
_HASHED = re.compile(r"/assets/(?:[\w.-]+/)*[\w.~-]+-[\w-]{8}\.(?:js|css|woff2?|svg|png)")
_HTTPS_ONLY = ((b"strict-transport-security", b"max-age=31536000"),)
_UNLISTED = ((b"x-robots-tag", b"noindex, nofollow, noarchive"), (b"referrer-policy", b"no-referrer"))
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


def inline_script_hashes(build: Path) -> frozenset[str]:
    """CSP sources of all inline scripts in the documents below `build`."""
    return frozenset(
        _source(script)
        for document in build.rglob("*.html")
        for script in _INLINE.findall(document.read_text("utf-8"))
    )


def _source(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def caching(path: str, status: int) -> tuple[bytes, bytes]:
    """How long a browser may keep what the pages' app answers at `path`: a document must not outlive its build."""
    kept = status in (200, 206, 304) and _HASHED.fullmatch(path) is not None
    return b"cache-control", FOR_EVER if kept else ASK_FIRST


def page_headers(build: Path, *, https: bool) -> list[tuple[bytes, bytes]]:
    """Headers for every answer of the pages' app, as ASGI wants them."""
    scripts = " ".join(["'self'", "'unsafe-eval'", *sorted(inline_script_hashes(build))])
    policy = {
        "default-src": "'self'",
        "script-src": scripts,
        "style-src": "'self' 'unsafe-inline'",  # React writes style attributes
        "img-src": "'self' data: blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
        "cross-origin-opener-policy": "same-origin",
    }
    return [
        *((name.encode(), value.encode()) for name, value in headers.items()),
        *transport_headers(https=https),
    ]


def transport_headers(*, https: bool) -> tuple[tuple[bytes, bytes], ...]:
    """What every answer says of how it is to be reached: pages, API and gateway are one host."""
    return _HTTPS_ONLY if https else ()


def unlisted(path: str) -> tuple[tuple[bytes, bytes], ...]:
    """Besides, where the address itself is a secret: nobody lists it, and no site that it leads to hears of it."""
    return _UNLISTED if path.startswith("/pay/") else ()
