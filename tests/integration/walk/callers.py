"""Those who try: each with a session or key that is good still, since an attempt may have ended the last one."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from models.gateway import ApiKey
from models.identity import Account, Organization, Session
from models.types import OrganizationKind, Role
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.ids import new_id, new_secret
from services.core.permissions import ROLE_CAPABILITIES, Capability
from services.identity.keys import KEY_STARTS_WITH, SECRET_CHARACTERS
from services.identity.policies import READING
from tests.integration.walk.victim import Canary, Victim
from tests.world import LONG_AGO, World

NOTHING: frozenset[Capability] = frozenset()


@dataclass(frozen=True, slots=True)
class Pass:
    """What an attempt shows at the door: a session's token, a key, or nothing."""

    session: str = ""
    key: str = ""


class Passes:
    """Gives the pass that is shown, made by `make` the first time and whenever the last one was spent."""

    def __init__(self, make: Callable[[], Awaitable[Pass]]) -> None:
        self._make = make
        self._pass: Pass | None = None

    async def __call__(self) -> Pass:
        if self._pass is None:
            self._pass = await self._make()
        return self._pass

    def spend(self) -> None:
        """After an attempt that did something: perhaps it ended the session."""
        self._pass = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody, what they may by the table of capabilities, and in which organisation.

    `refused` is the status of every attempt of those who are let in nowhere; None for the others.
    """

    name: str
    present: Passes = field(repr=False)
    id: str = ""
    organization_id: str | None = None
    capabilities: frozenset[Capability] = NOTHING
    is_person: bool = True
    refused: int | None = None
    told: frozenset[Capability] = NOTHING  # is shown what these would show, although they are not held

    def may_see(self, canary: Canary, victim: Victim) -> bool:
        """In one's own organisation what the capabilities say; in others' only what staff may."""
        inside = self.organization_id == victim.organization.id
        counted = {c for c in self.capabilities | self.told if inside or c.startswith("staff.")}
        return bool(canary.seen_by & counted)


class Cast:
    """Makes the callers of one world, around one victim."""

    def __init__(self, world: World, victim: Victim) -> None:
        self.world = world
        self.victim = victim

    async def stranger(self) -> Caller:
        async def nothing() -> Pass:
            return Pass()

        return Caller("stranger", Passes(nothing), refused=401)

    async def expired(self) -> Caller:
        """An owner, with a session that is over."""
        yesterday = datetime.now(UTC) - timedelta(days=1)
        organization = self.victim.organization
        account = await self.world.account(member_of=organization, role=Role.OWNER)
        present = self._session_of(account, organization, expires_at=yesterday)
        return Caller("expired session", present, account.id, organization.id, refused=401)

    async def signed_out(self) -> Caller:
        """An owner, with a session that was ended."""
        organization = self.victim.organization
        account = await self.world.account(member_of=organization, role=Role.OWNER)
        present = self._session_of(account, organization, ended_at=datetime.now(UTC))
        return Caller("ended session", present, account.id, organization.id, refused=401)

    async def revoked_key(self) -> Caller:
        present = self._key_of(self.victim.organization, ["inference", "keys:write"], revoked_at=LONG_AGO)
        return Caller("revoked key", present, is_person=False, refused=401)

    async def key_without_scopes(self) -> Caller:
        present = self._key_of(self.victim.organization, [])
        return Caller("key without scopes", present, "", self.victim.organization.id, is_person=False)

    async def member(self, role: Role) -> Caller:
        """A member of the victim's own organisation."""
        organization = self.victim.organization
        account = await self.world.account(member_of=organization, role=role)
        held = ROLE_CAPABILITIES[role]
        return Caller(role, self._session_of(account, organization), account.id, organization.id, held)

    async def owner_elsewhere(self) -> Caller:
        other = await self.world.organization(name="Elsewhere")
        account = await self.world.account(member_of=other, role=Role.OWNER)
        held = ROLE_CAPABILITIES[Role.OWNER]
        return Caller("owner elsewhere", self._session_of(account, other), account.id, other.id, held)

    async def newcomer(self) -> Caller:
        """Signed in, and a member of nothing."""
        account = await self.world.account()
        return Caller("newcomer", self._session_of(account, None), account.id)

    async def support(self) -> Caller:
        """Staff that may look and change nothing."""
        return await self._staff("support", Role.SUPPORT)

    async def operator(self) -> Caller:
        """Staff that may do all that staff may."""
        return await self._staff("operator", Role.OPERATOR)

    async def _staff(self, name: str, role: Role) -> Caller:
        operators = await self.world.organization(OrganizationKind.OPERATOR, name="Operators")
        account = await self.world.account(member_of=operators, role=role)
        held = ROLE_CAPABILITIES[role]
        return Caller(name, self._session_of(account, operators), account.id, operators.id, held)

    async def suspended_member(self) -> Caller:
        """An owner who is kept out: is told so, and where. The name of the organisation is no news to him."""
        caller = await self.member(Role.OWNER)
        async with crossing(Reason.DEMO, on=self.world.database) as uow:
            await uow.execute(
                "update membership set suspended_at = created_at where account_id = :id", id=caller.id
            )
        named = frozenset({Capability.ORGANIZATION_READ})
        return replace(caller, name="suspended member", capabilities=NOTHING, told=named)

    async def suspended_owner(self) -> Caller:
        """The owner of the victim's organisation, which is suspended: may look and change nothing."""
        await self._suspend()
        organization = self.victim.organization
        account = await self.world.account(member_of=organization, role=Role.OWNER)
        held = ROLE_CAPABILITIES[Role.OWNER] & READING
        return Caller(
            "owner of a suspended organisation",
            self._session_of(account, organization), account.id, organization.id, held,
        )  # fmt: skip

    async def suspended_key(self) -> Caller:
        await self._suspend()
        present = self._key_of(self.victim.organization, ["inference", "keys:write", "usage:read"])
        return Caller("key of a suspended organisation", present, is_person=False, refused=403)

    async def _suspend(self) -> None:
        async with crossing(Reason.DEMO, on=self.world.database) as uow:
            await uow.execute(
                "update organization set suspended_at = created_at where id = :id",
                id=self.victim.organization.id,
            )

    def _session_of(
        self,
        account: Account,
        organization: Organization | None,
        *,
        expires_at: datetime | None = None,
        ended_at: datetime | None = None,
    ) -> Passes:
        async def make() -> Pass:
            token, now = new_secret(), datetime.now(UTC)
            row = Session(
                id=new_id("ses"),
                token_hash=vault().lookup_hash(token),
                account_id=account.id,
                organization_id=organization.id if organization else None,
                created_at=now - timedelta(days=2),
                last_seen_at=now,
                proved_at=now,
                expires_at=expires_at or now + timedelta(days=1),
                ended_at=ended_at,
            )
            async with crossing(Reason.SIGN_IN, on=self.world.database) as uow:
                uow.add(row)
            return Pass(session=token)

        return Passes(make)

    def _key_of(
        self, organization: Organization, scopes: list[str], *, revoked_at: datetime | None = None
    ) -> Passes:
        made: list[str] = []

        async def make() -> Pass:
            if not made:
                made.append(KEY_STARTS_WITH + secrets.token_hex(SECRET_CHARACTERS // 2))
                async with crossing(Reason.KEY_LOOKUP, on=self.world.database) as uow:
                    uow.add(
                        ApiKey(
                            id=new_id("apikey"),
                            organization_id=organization.id,
                            name="walk",
                            prefix="mx-walk",
                            secret_hash=vault().lookup_hash(made[0]),
                            scopes=scopes,
                            revoked_at=revoked_at,
                            created_at=LONG_AGO,
                        )
                    )
            return Pass(key=made[0])

        return Passes(make)
