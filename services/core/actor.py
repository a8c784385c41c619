"""Who acts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from models.types import Role
from services.core.errors import Forbidden, MembershipSuspended
from services.core.permissions import ROLE_CAPABILITIES, STAFF_ROLES, Capability

SYSTEM = "system"  # the actor of what nobody asked for
ADDRESS_CHARACTERS_MAX = 64  # an IPv6 address with its zone fits; a forwarded header may hold anything


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody (or some key, or the system) acting within at most one organisation."""

    id: str  # account, key or "system"
    organization_id: str | None
    capabilities: frozenset[Capability]
    role: Role | None = None
    account_id: str | None = None
    session_id: str | None = None
    trace_id: str = ""
    address: str = ""  # from where, when a door knows it
    member_suspended: bool = False  # is let in, to be told so
    proved_at: datetime | None = None  # when the person last showed who they are; None for a key

    def may(self, capability: Capability) -> bool:
        return capability in self.capabilities

    def require(self, capability: Capability) -> None:
        """Raises Forbidden, naming the capability and who has it."""
        if capability in self.capabilities:
            return
        if self.member_suspended:
            raise MembershipSuspended(
                "Your membership in this organisation is suspended.",
                next_step="Ask an owner of it, or go on in another of your organisations.",
                permission=capability.value,
            )
        raise Forbidden(
            f"This needs the permission {capability.value!r}, which your role or key does not have.",
            next_step=f"Ask for one of these roles: {', '.join(self._roles_with(capability))}.",
            permission=capability.value,
        )

    def _roles_with(self, capability: Capability) -> list[Role]:
        """Those that somebody here may be given; of the house where nobody here may, or it is not known where."""
        holders = sorted(role for role, held in ROLE_CAPABILITIES.items() if capability in held)
        of_the_house = self.role in STAFF_ROLES
        here = [role for role in holders if self.role is not None and (role in STAFF_ROLES) == of_the_house]
        return here or holders

    def at(self, address: str) -> Actor:
        """The same actor, seen at `address`."""
        return replace(self, address=address[:ADDRESS_CHARACTERS_MAX])


def system(organization_id: str | None = None) -> Actor:
    """The product itself, acting for nobody: schedules, subscribers, demo data."""
    return Actor(SYSTEM, organization_id, frozenset(Capability))
