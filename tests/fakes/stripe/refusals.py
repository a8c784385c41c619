"""How Stripe says no: a status, a type, mostly a code, and what it disliked."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """Answered as `{"error": {...}}`. `more` are further members, such as the object an error is about."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"message": message, "type": kind}
        if code:
            self.error |= {
                "code": code,
                "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
            }
        if param:
            self.error["param"] = param
        self.error |= more


def missing(kind: str, identifier: str, *, param: str, status: int = 400) -> Refusal:
    return Refusal(f"No such {kind}: '{identifier}'", status=status, code="resource_missing", param=param)
