"""The cookies of this copy of Matrix: their names, and how every door finds them in a request."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import cookie_parser


def session_cookie(public_url: str) -> str:
    """The name of the session's cookie at `public_url`. HttpOnly; set by the API, read by every door."""
    return _named("matrix_session", public_url)


def device_cookie(public_url: str) -> str:
    """The name of the cookie by which browsers are known again; see devices.py. HttpOnly; for the API alone."""
    return _named("matrix_device", public_url)


def challenge_cookie(public_url: str) -> str:
    """The name of the cookie of a sign-in that waits for its code. HttpOnly; for the API alone."""
    return _named("matrix_challenge", public_url)


def session_token(header: str, public_url: str) -> str:
    """The session's token out of a Cookie header; empty when there is none.

    A host's other applications leave cookies in the same header. Python's own parser ends at the first it does
    not like, which kept people out of our pages, so this one, like browsers, takes each as it is.
    """
    return cookie_parser(header).get(session_cookie(public_url), "")


def _named(name: str, public_url: str) -> str:
    """Cookies belong to a host, whatever the port: the port in the name keeps copies on one host apart.

    Browsers take the prefix only from the host itself over TLS, never from another host of its domain.
    """
    port = urlsplit(public_url).port
    if public_url.startswith("https://"):
        return f"__Host-{name}" if port in (None, 443) else f"__Host-{name}_{port}"
    return f"{name}_{port or 80}"
