"""Errors that carry a code for machines, a sentence for people, and a next step.

The API turns them into RFC 9457 problem details, pages into messages. A class is one code and one status.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MatrixError(Exception):
    """Base of every error that crosses a floor. `details` are shown to the caller: never put secrets there."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, message: str, *, next_step: str = "", code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.error_code = code or self.code
        self.details = details


class Invalid(MatrixError):
    """The input cannot be accepted as it is. `field` names the part at fault, when there is one."""

    status = 422
    code = "invalid_input"
    title = "The input is not valid"

    def __init__(
        self, message: str, *, field: str = "", next_step: str = "", code: str | None = None, **details: Any
    ) -> None:
        super().__init__(message, next_step=next_step, code=code, **details)
        self.field = field


class InvalidFilter(Invalid):
    """A list was asked for in a way it does not know. `field` is the parameter of the address."""

    code = "invalid_filter"
    title = "The list cannot be read like this"


class Malformed(Invalid):
    status = 400
    code = "malformed_request"
    title = "The request cannot be read"


class Unauthenticated(MatrixError):
    status = 401
    code = "sign_in_required"
    title = "Sign in first"


class Forbidden(MatrixError):
    status = 403
    code = "not_allowed"
    title = "This is not allowed"  # by a role, or for another reason that the sentence tells


class MembershipSuspended(Forbidden):
    """The person is a member still, and may do nothing here until an owner says otherwise."""

    code = "membership_suspended"
    title = "Your membership is suspended"


class NotFound(MatrixError):
    """It does not exist, or not for this caller: the two are never told apart."""

    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(MatrixError):
    status = 409
    code = "conflict"
    title = "This contradicts what is already there"


class Busy(Conflict):
    """Two transactions stood in each other's way; trying again helps."""

    code = "busy"
    title = "Two changes met"


class StaleVersion(Conflict):
    """Somebody else changed the row since it was read."""

    status = 412
    code = "stale_version"
    title = "Somebody changed this meanwhile"


class TooLarge(MatrixError):
    status = 413
    code = "too_large"
    title = "Too large"


class RateLimited(MatrixError):
    """`retry_after_s` says when it is worth trying again."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float,
        next_step: str = "",
        code: str | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, next_step=next_step, code=code, **details)
        self.retry_after_s = retry_after_s


class Unavailable(MatrixError):
    """Something we need is away. Trying again may help."""

    status = 503
    code = "unavailable"
    title = "Not available at the moment"


def not_found(what: str, identifier: str) -> NotFound:
    return NotFound(
        f"There is no {what} {identifier!r}.", next_step="Check the identifier and your organisation."
    )
