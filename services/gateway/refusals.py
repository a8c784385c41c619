"""Why a call is refused, in OpenAI's words: one table from code to status and type.

The official clients choose their exception by status, programs by `code`: both are stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from services.gateway import rules

REFUSED_ROWS_PER_MINUTE = 60
KEYS_MAX = 10_000  # remembered; then all of them begin anew

_INVALID = "invalid_request_error"
_SERVER = "server_error"
_LIMIT = "rate_limit_error"


class Code(StrEnum):
    INVALID_JSON = "invalid_json"
    INVALID_TYPE = "invalid_type"
    INVALID_VALUE = "invalid_value"
    MISSING = "missing_required_parameter"
    UNKNOWN_PARAMETER = "unknown_parameter"
    UNSUPPORTED = "unsupported_value"
    CONTEXT_LENGTH = "context_length_exceeded"
    UPSTREAM_REJECTED = "upstream_rejected_request"
    TOO_LARGE = "request_too_large"
    INVALID_KEY = "invalid_api_key"
    KEY_EXPIRED = "api_key_expired"
    SIGN_IN = "sign_in_required"
    SUSPENDED = "organization_suspended"
    OVERDUE = "payment_overdue"
    SCOPE = "insufficient_scope"
    CSRF = "csrf_header_missing"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    MODEL_NOT_FOUND = "model_not_found"
    ENDPOINT = "unsupported_endpoint"
    NO_ROUTE = "unknown_url"
    METHOD = "method_not_allowed"
    RATE_LIMIT = "rate_limit_exceeded"
    THROTTLED = "budget_throttled"
    QUOTA = "insufficient_quota"
    UPSTREAM_BUSY = "upstream_rate_limited"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_AWAY = "upstream_unavailable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    NOT_AVAILABLE = "temporarily_unavailable"
    INTERNAL = "internal_error"
    CLIENT_GONE = "client_disconnected"  # never sent: nobody is there to read it
    PROCESS_ENDED = "gateway_process_ended"  # never sent: found in the journal of a process that died


STATUS_AND_TYPE: dict[Code, tuple[int, str]] = {
    Code.INVALID_JSON: (400, _INVALID),
    Code.INVALID_TYPE: (400, _INVALID),
    Code.INVALID_VALUE: (400, _INVALID),
    Code.MISSING: (400, _INVALID),
    Code.UNKNOWN_PARAMETER: (400, _INVALID),
    Code.UNSUPPORTED: (400, _INVALID),
    Code.CONTEXT_LENGTH: (400, _INVALID),
    Code.UPSTREAM_REJECTED: (400, _INVALID),
    Code.TOO_LARGE: (413, _INVALID),
    Code.INVALID_KEY: (401, "authentication_error"),
    Code.KEY_EXPIRED: (401, "authentication_error"),
    Code.SIGN_IN: (401, "authentication_error"),
    Code.SUSPENDED: (403, "permission_error"),
    Code.OVERDUE: (402, "permission_error"),
    Code.SCOPE: (403, "permission_error"),
    Code.CSRF: (403, "permission_error"),
    Code.MODEL_NOT_ALLOWED: (403, "permission_error"),
    Code.MODEL_NOT_FOUND: (404, _INVALID),
    Code.ENDPOINT: (400, _INVALID),
    Code.NO_ROUTE: (404, _INVALID),
    Code.METHOD: (405, _INVALID),
    Code.RATE_LIMIT: (429, _LIMIT),
    Code.THROTTLED: (429, _LIMIT),
    Code.QUOTA: (429, "insufficient_quota"),
    Code.UPSTREAM_BUSY: (429, _LIMIT),
    Code.UPSTREAM_ERROR: (502, _SERVER),
    Code.UPSTREAM_AWAY: (503, _SERVER),
    Code.UPSTREAM_TIMEOUT: (504, _SERVER),
    Code.NOT_AVAILABLE: (503, _SERVER),
    Code.INTERNAL: (500, _SERVER),
    Code.CLIENT_GONE: (499, _SERVER),
    Code.PROCESS_ENDED: (499, _SERVER),
}


# For refusals whose status makes the official clients ask again, where they would hear the same again.
IN_VAIN = {"x-should-retry": "false"}


class Refusal(Exception):
    """The call ends here. `message` is for people and never holds what upstream or database said inside."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.status, self.type = STATUS_AND_TYPE[code]

    def error(self) -> dict[str, Any]:
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code.value,
            }
        }

    def body(self) -> bytes:
        return orjson.dumps(self.error())


@dataclass(slots=True)
class RefusedRows:
    """How many refused calls of each key still go into the log: see docs/decisions/0011-refused-calls.md."""

    _full_at: dict[str, float] = field(default_factory=dict[str, float])

    def take(self, who: str, now: float) -> bool:
        """Whether one more of `who` may go there, and note that it does."""
        full_at, share = self._full_at.get(who, 0.0), REFUSED_ROWS_PER_MINUTE
        if not rules.judge(full_at, now, cost=1, share=share, limit=share).allowed:
            return False
        if len(self._full_at) > KEYS_MAX:
            self._full_at.clear()
        self._full_at[who] = rules.take(full_at, now, cost=1, share=share)
        return True
