"""Who may not is told which roles may: of those that somebody can have where they are."""

from __future__ import annotations

import pytest

from models.types import Role
from services.core.actor import Actor
from services.core.errors import Forbidden
from services.core.permissions import Capability


@pytest.mark.parametrize(
    ("role", "wanted", "told"),
    [
        (Role.DEVELOPER, Capability.MEMBERS_WRITE, "admin, owner"),
        (Role.SUPPORT, Capability.MEMBERS_WRITE, "operator"),
        (
            Role.DEVELOPER,
            Capability.STAFF_AUDIT_READ,
            "governance, operator",
        ),  # of the house, since nobody here may
        (None, Capability.MEMBERS_WRITE, "admin, operator, owner"),  # a key
    ],
)
def test_roles_of_ones_own_kind_of_organisation_are_named(
    role: Role | None, wanted: Capability, told: str
) -> None:
    with pytest.raises(Forbidden) as refused:
        Actor("acc_1", "org_1", frozenset(), role).require(wanted)

    assert refused.value.next_step == f"Ask for one of these roles: {told}."
