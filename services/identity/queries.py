"""Reads of identity: who is signed in, what they belong to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from models.types import BillingMode, OrganizationKind, Role
from services.core import listing_grammar, listing_sql
from services.core.actor import Actor
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.database import Database
from services.core.errors import StaleVersion, not_found
from services.core.ids import is_id
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import policies, rules
from services.identity.policies import account_of


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class OrganizationView:
    """An organisation as one of its members sees it; `role` is that member's."""

    id: str
    kind: str
    name: str
    timezone: str
    currency: str
    billing_mode: str
    suspended: bool
    role: str
    member_suspended: bool = False
    restricted: bool = False  # something is overdue for long: its calls are not answered


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Everything a page or a request needs to know about who is there."""

    actor: Actor
    account: Person
    organization: OrganizationView | None  # where the session works now
    organizations: tuple[OrganizationView, ...]  # all of the person's, by name
    session_id: str
    expires_at: datetime


_SIGNED_IN = """
select s.id as session_id, s.last_seen_at, s.expires_at, s.organization_id, s.proved_at,
  a.id as account_id, a.email, a.name,
  (select coalesce(jsonb_agg(jsonb_build_object(
      'id', o.id, 'kind', o.kind, 'name', o.name, 'timezone', o.timezone, 'currency', o.currency,
      'billing_mode', o.billing_mode, 'suspended', o.suspended_at is not null, 'role', m.role,
      'member_suspended', m.suspended_at is not null,
      'restricted', exists (select from dunning_case d where d.organization_id = o.id and d.restricts and not d.lifted)
    ) order by o.name_key, o.id), '[]')
   from membership m join organization o on o.id = m.organization_id
   where m.account_id = a.id) as organizations
from session s join account a on a.id = s.account_id
where s.token_hash = :hash and s.ended_at is null and a.suspended_at is null
"""


async def actor_for_token(
    token: str, *, on: Database | None = None, clock: Clock | None = None
) -> SignedIn | None:
    """Who holds this session token now, or None. Two statements; a third at most once a minute."""
    if not token or not token.isascii():
        return None
    async with crossing(Reason.SIGN_IN, on=on, clock=clock) as uow:
        row = (await uow.execute(_SIGNED_IN, hash=vault().lookup_hash(token))).one_or_none()
        if row is None or rules.session_is_over(
            now=uow.wall_now, last_seen_at=row.last_seen_at, expires_at=row.expires_at
        ):
            return None
        if uow.wall_now - row.last_seen_at >= rules.SESSION_SEEN_EVERY:
            await uow.execute(
                "update session set last_seen_at = greatest(last_seen_at, :now) where id = :id",
                now=uow.wall_now,
                id=row.session_id,
            )
    organizations = tuple(OrganizationView(**facts) for facts in row.organizations)
    current = next((o for o in organizations if o.id == row.organization_id), None)
    return SignedIn(
        actor=replace(_actor(row.account_id, row.session_id, current), proved_at=row.proved_at),
        account=Person(row.account_id, row.email, row.name),
        organization=current,
        organizations=organizations,
        session_id=row.session_id,
        expires_at=row.expires_at,
    )


def _actor(account_id: str, session_id: str, current: OrganizationView | None) -> Actor:
    if current is None:
        return policies.person(account_id, session_id=session_id)
    held = policies.capabilities_of(current.role, kind=current.kind, suspended=current.suspended)
    return Actor(
        id=account_id,
        organization_id=current.id,
        capabilities=frozenset() if current.member_suspended else held,
        role=Role(current.role) if current.role in set(Role) else None,
        account_id=account_id,
        session_id=session_id,
        member_suspended=current.member_suspended,
    )


@dataclass(frozen=True, slots=True)
class OwnAccount:
    id: str
    email: str
    name: str
    password_changed_at: datetime | None  # None for the password chosen first


async def own_account(uow: UnitOfWork) -> OwnAccount:
    """The account of the person who acts. `uow` crosses tenants (Reason.ACCOUNT). Raises Forbidden for keys."""
    found = await uow.execute(
        "select id, email, name, password_changed_at from account where id = :id", id=account_of(uow)
    )
    return OwnAccount(**found.mappings().one())


@dataclass(frozen=True, slots=True)
class Member:
    """One person of an organisation. `last_seen_at` is when a session last worked in it, to the minute.

    How they sign in and when they work is for those who look after members: None for others, as are their keys for
    whoever may not see keys.
    """

    membership_id: str
    account_id: str
    email: str
    name: str
    role: str
    joined_at: datetime
    suspended_at: datetime | None
    last_seen_at: datetime | None
    two_step: bool | None
    active_keys: int | None  # made by this person, and working
    version: int


MEMBERS = Listing(
    "members",
    row=Member,
    needs=Capability.MEMBERS_READ,
    source="membership m join account a on a.id = m.account_id",
    where="m.organization_id = :organization_id",
    columns=(
        Column("membership_id", "m.id", Kind.ID),
        Column("account_id", "m.account_id", Kind.ID, filterable=True),
        Column("email", "a.email", sortable=True, filterable=True),
        Column("name", "a.name", filterable=True),
        Column(
            "search",
            operators=(Operator.EQ,),
            conditions={
                Operator.EQ: "lower(a.name) like '%' || lower({like}) || '%'"
                " or lower(a.email) like '%' || lower({like}) || '%'"
            },
            shown=False,
            text="A part of the name or of the address",
        ),
        Column("role", "m.role", Kind.ENUM, values=tuple(Role), filterable=True),
        Column("joined_at", "m.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("suspended_at", "m.suspended_at", Kind.INSTANT, nullable=True, filterable=True),
        Column(
            "status",
            "case when m.suspended_at is null then 'active' else 'suspended' end",
            Kind.ENUM,
            values=("active", "suspended"),
            operators=(Operator.EQ,),
            shown=False,
        ),
        Column(
            "last_seen_at",
            "(select max(s.last_seen_at) from session s"
            " where s.account_id = m.account_id and s.organization_id = m.organization_id)",
            Kind.INSTANT,
            nullable=True,
            needs=Capability.MEMBERS_WRITE,
        ),
        Column(
            "two_step",
            "exists (select from authenticator t where t.account_id = m.account_id and t.confirmed_at is not null)",
            Kind.FLAG,
            filterable=True,
            needs=Capability.MEMBERS_WRITE,
        ),
        Column(
            "active_keys",
            "(select count(*) from api_key k where k.organization_id = m.organization_id"
            " and k.created_by = m.account_id and k.revoked_at is null"
            " and (k.expires_at is null or k.expires_at > :now))",
            Kind.INTEGER,
            needs=Capability.KEYS_READ,
        ),
        Column("version", "m.version", Kind.INTEGER, exported=False),
    ),
    key="membership_id",
    sort="joined_at",  # not by name: who changes it between two pages would be missed or come twice
)


async def members(uow: UnitOfWork, *, limit: int = 50) -> list[Member]:
    """The organisation's people as they joined. Needs members.read."""
    return list((await listing_sql.page(uow, listing_grammar.read(MEMBERS, []), limit=limit)).rows)


async def member(uow: UnitOfWork, account_id: str) -> Member:
    """One of the organisation's people. Raises NotFound, also for people of others."""
    uow.actor.require(Capability.MEMBERS_READ)
    if not is_id(account_id, "acc"):
        raise not_found("member", account_id)
    found = await listing_sql.select(uow, MEMBERS, ("account_id", account_id), limit=1)
    if not found:
        raise not_found("member", account_id)
    return found[0]


async def changed_meanwhile(uow: UnitOfWork, row_id: str, *event_types: str, what: str) -> StaleVersion:
    """What to tell somebody who saves over another's change: who it was, and when. Doors add what is there now.

    `event_types` are those of every change that counts a version on.
    """
    found = await uow.execute(
        "select e.recorded_at, coalesce(nullif(a.name, ''), a.email, k.name, '') as name from event e"
        " left join account a on a.id = e.actor_id left join api_key k on k.id = e.actor_id"
        " where e.aggregate_id = :id and e.type = any(:types) order by e.id desc limit 1",
        id=row_id,
        types=list(event_types),
    )
    last = found.one_or_none()
    who = (last.name if last else "") or "Somebody"
    return StaleVersion(
        f"{who} changed the {what} meanwhile.",
        next_step="Compare both, then save again on top of it or take what is there.",
        changed_by=who,
        changed_at=last.recorded_at.isoformat() if last else None,
    )


@dataclass(frozen=True, slots=True)
class StaffOrganization:
    """An organisation as staff sees it."""

    id: str
    kind: str
    name: str
    timezone: str
    currency: str
    billing_mode: str
    created_at: datetime
    suspended_at: datetime | None
    members: int
    active_keys: int
    on_clock: bool
    version: int


ORGANIZATIONS = Listing(
    "staff.organizations",
    row=StaffOrganization,
    needs=Capability.STAFF_ORGANIZATIONS_READ,
    source="organization o",
    columns=(
        Column("id", "o.id", Kind.ID, filterable=True),
        Column("kind", "o.kind", Kind.ENUM, values=tuple(OrganizationKind), filterable=True),
        Column("name", "o.name", sortable=True, filterable=True, folded="o.name_key", fold=rules.sorting_key),
        Column(
            "search",
            fold=lambda text: rules.sorting_key(text.strip()),
            operators=(Operator.EQ,),
            conditions={
                Operator.EQ: "o.id = {value} or o.name_key like {like} || '%'"
                " or o.name_key like '% ' || {like} || '%'"
            },
            shown=False,
            text="The start of any word of the name, or a whole id",
        ),
        Column("timezone", "o.timezone", filterable=True),
        Column("currency", "o.currency", filterable=True),
        Column("billing_mode", "o.billing_mode", Kind.ENUM, values=tuple(BillingMode), filterable=True),
        Column("created_at", "o.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("suspended_at", "o.suspended_at", Kind.INSTANT, nullable=True, filterable=True),
        Column(
            "status",
            "case when o.suspended_at is null then 'active' else 'suspended' end",
            Kind.ENUM,
            values=("active", "suspended"),
            operators=(Operator.EQ,),
            shown=False,
        ),
        Column(
            "members",
            "(select count(*) from membership m where m.organization_id = o.id)",
            Kind.INTEGER,
        ),
        Column(
            "active_keys",
            "(select count(*) from api_key k where k.organization_id = o.id and k.revoked_at is null"
            " and (k.expires_at is null or k.expires_at > :now))",
            Kind.INTEGER,
        ),
        Column(
            "on_clock",
            "(o.test_clock_id is not null)",
            Kind.FLAG,
            operators=(Operator.EQ,),
            text="Whether it is on a test clock, and so not real",
        ),
        Column("version", "o.version", Kind.INTEGER),
    ),
    sort="name",
)


async def staff_organization(uow: UnitOfWork, organization_id: str) -> StaffOrganization:
    """One organisation for staff. Raises NotFound."""
    row = await listing_sql.find(uow, ORGANIZATIONS, organization_id)
    if row is None:
        raise not_found("organisation", organization_id)
    return row


async def organization_name(uow: UnitOfWork, organization_id: str) -> str:
    """What the organisation of a row is called, for staff who was let to that row. Raises NotFound."""
    found = await uow.execute("select name from organization where id = :id", id=organization_id)
    if (name := found.scalar_one_or_none()) is None:
        raise not_found("organisation", organization_id)
    return name
