"""How PayPal says no: a name, and issues with codes of their own."""

from __future__ import annotations

from typing import Any

_NAMES = {
    400: ("INVALID_REQUEST", "Request is not well-formed, syntactically incorrect, or violates schema."),
    401: (
        "AUTHENTICATION_FAILURE",
        "Authentication failed due to missing or invalid authentication credentials.",
    ),
    404: ("RESOURCE_NOT_FOUND", "The specified resource does not exist."),
    409: ("RESOURCE_CONFLICT", "The server has detected a conflict while processing this request."),
    422: (
        "UNPROCESSABLE_ENTITY",
        "The requested action could not be performed, semantically incorrect, or failed business validation.",
    ),
    429: ("RATE_LIMIT_REACHED", "Too many requests. Blocked due to rate limiting."),
    500: ("INTERNAL_SERVER_ERROR", "An internal server error occurred."),
}


class Issue(Exception):
    """`issue` is PayPal's code for what is wrong, `field` a pointer into the request."""

    def __init__(self, issue: str, *, status: int = 422, field: str = "") -> None:
        super().__init__(issue)
        self.status = status
        name, message = _NAMES[status]
        detail = {"issue": issue, "description": issue.replace("_", " ").capitalize() + "."}
        self.body: dict[str, Any] = {
            "name": name,
            "message": message,
            "details": [detail | ({"field": field} if field else {})] if issue else [],
            "links": [],
        }


def not_found() -> Issue:
    return Issue("INVALID_RESOURCE_ID", status=404)
