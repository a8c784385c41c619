"""What a page shows when something failed: never a stack trace, always a way on."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.errors import Forbidden, MatrixError, NotFound


@dataclass(frozen=True, slots=True)
class Problem:
    """`reference` finds the failure in the log; it is empty when the log has nothing to add."""

    title: str = ""
    text: str = ""
    reference: str = ""
    permission: str = ""

    @property
    def sentence(self) -> str:
        """All of it in one line, for a toast."""
        return " ".join(part for part in (self.text, self.reference and f"({self.reference})") if part)


class Unexpected(MatrixError):
    """A fault of ours. What happened is in the log under the reference, and only there."""

    code = "internal_error"


def problem_of(error: MatrixError, reference: str) -> Problem:
    """The words for `error`; the reference is shown where somebody has to look into it."""
    needs_looking_into = error.status >= 500
    return Problem(
        title=error.title,
        text=f"{error.message} {error.next_step}".strip(),
        reference=reference if needs_looking_into else "",
        permission=str(error.details.get("permission", "")),
    )


def status_of(error: MatrixError) -> str:
    """Which of its states a page is in after its rows could not be read."""
    if isinstance(error, Forbidden):
        return "forbidden"
    return "missing" if isinstance(error, NotFound) else "error"
