"""How every door finds its cookies in a request."""

from __future__ import annotations

from starlette.requests import cookie_parser

SESSION = "matrix_session"  # HttpOnly; set by the API, read by every door


def session_token(header: str) -> str:
    """The session's token out of a Cookie header; empty when there is none.

    A host's other applications leave cookies in the same header. Python's own parser ends at the first it does
    not like, which kept people out of our pages, so this one, like browsers, takes each as it is.
    """
    return cookie_parser(header).get(SESSION, "")
