"""Forms over a row that somebody else may change meanwhile: whoever saves second sees both values, and chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.errors import StaleVersion
from state.base import PageState


class EditedState(PageState, mixin=True):
    """`met` is the newer version that a form of the page met: whose it is, since when, and what it says in the form's
    own fields. It is for `met` of `form`; what the REST API saves, `rest_form` compares by itself.
    """

    met: dict[str, Any] = {}

    def _meet(self, stale: StaleVersion, form_id: str, theirs: Mapping[str, Any], version: int) -> None:
        """Show both; `version` is that of `theirs`."""
        self.met = {
            "form": form_id,
            "times": int(self.met.get("times", 0)) + 1,  # the same one met again is shown again
            "who": str(stale.details.get("changed_by") or ""),
            "at": stale.details.get("changed_at") or "",
            "version": version,
            "theirs": dict(theirs),
        }


def version_over(values: Mapping[str, Any], read: int) -> int:
    """The version that is saved over: the one that was `read`, or the newer one once somebody saw both and chose."""
    chosen = values.get("version")
    return chosen if isinstance(chosen, int) else read
