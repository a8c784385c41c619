"""Projects: parts of an organisation's work, each with keys of its own, so that usage can be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.identity import Project
from services.core import listing_grammar, listing_sql
from services.core.errors import Conflict, not_found
from services.core.ids import new_id
from services.core.listing import Column, Kind, Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import keys, policies, queries, rules
from services.identity.events import ProjectArchived, ProjectCreated, ProjectRestored, ProjectUpdated
from services.identity.proof import require_recent_proof

PROJECTS_MAX = 200  # of one organisation, archived ones, too
DESCRIPTION_CHARACTERS_MAX = 500


async def create_project(uow: UnitOfWork, *, name: str, description: str = "") -> Project:
    """Raises Conflict for a name that is taken (case and accents aside) or too many projects, Forbidden, Invalid."""
    uow.actor.require(Capability.PROJECTS_WRITE)
    name = rules.clean_text(name, field="name", what="The name")
    await policies.hold_organization(uow)
    counted = await uow.execute(
        "select count(*) from project where organization_id = :id", id=uow.organization_id
    )
    if counted.scalar_one() >= PROJECTS_MAX:
        raise Conflict(
            f"There are {PROJECTS_MAX} projects, which is the most.",
            next_step="Rename one that is not used any more.",
            code="too_many_projects",
        )
    await _require_free(uow, name)
    row = Project(
        id=new_id("proj"),
        organization_id=uow.organization_id,
        name=name,
        name_key=rules.sorting_key(name),
        description=_description(description),
        created_by=uow.actor.account_id,
        created_at=uow.now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(ProjectCreated(aggregate_id=row.id, organization_id=row.organization_id, name=name))
    return row


async def update_project(
    uow: UnitOfWork,
    project_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    version: int | None = None,
) -> Project:
    """Change what is given. Changing nothing records nothing. Raises StaleVersion, Conflict, Invalid, NotFound."""
    uow.actor.require(Capability.PROJECTS_WRITE)
    await policies.hold_organization(uow)
    row = await policies.project_for(uow, project_id, Capability.PROJECTS_WRITE)
    if version is not None and version != row.version:
        raise await queries.changed_meanwhile(uow, row.id, ProjectUpdated.type, what="project")
    wanted: dict[str, str] = {}
    if name is not None:
        wanted["name"] = rules.clean_text(name, field="name", what="The name")
        wanted["name_key"] = rules.sorting_key(wanted["name"])
    if description is not None:
        wanted["description"] = _description(description)
    changed = [field for field, value in wanted.items() if getattr(row, field) != value]
    if "name_key" in changed:
        await _require_free(uow, wanted["name"])
    for field in changed:
        setattr(row, field, wanted[field])
    if changed:
        row.version += 1
        shown = [field for field in changed if field != "name_key"]
        uow.record(ProjectUpdated(aggregate_id=row.id, organization_id=row.organization_id, changed=shown))
    return row


async def archive_project(uow: UnitOfWork, project_id: str, *, end_keys: bool) -> Project:
    """Put a project aside. Its keys end with it, if `end_keys` says so; archiving twice changes nothing.

    Raises Conflict `project_has_keys` when it has keys that work and they are not to end, ProofNeeded when they are,
    Forbidden, NotFound.
    """
    uow.actor.require(Capability.PROJECTS_WRITE)
    await policies.hold_organization(uow)
    row = await policies.project_for(uow, project_id, Capability.PROJECTS_WRITE)
    if row.archived_at is not None:
        return row
    found = await uow.execute(
        "select id from api_key where organization_id = :organization_id and project_id = :id"
        " and revoked_at is null and (expires_at is null or expires_at > :now) order by id",
        organization_id=row.organization_id,
        id=row.id,
        now=uow.wall_now,
    )
    working = found.scalars().all()
    if working and not end_keys:
        raise Conflict(
            f"The project {row.name!r} has keys that work: {len(working)}.",
            next_step="Revoke them first, or archive it with its keys: they stop at once.",
            code="project_has_keys",
            active_keys=len(working),
        )
    if working:
        require_recent_proof(uow)  # programs stop at once and for good, however many
    for key_id in working:
        await keys.revoke_key(uow, key_id)
    row.archived_at = uow.wall_now
    row.version += 1
    uow.record(
        ProjectArchived(aggregate_id=row.id, organization_id=row.organization_id, ended_keys=len(working))
    )
    return row


async def restore_project(uow: UnitOfWork, project_id: str) -> Project:
    """Have new keys made in it again; those that ended stay ended. Raises Forbidden, NotFound."""
    row = await policies.project_for(uow, project_id, Capability.PROJECTS_WRITE)
    if row.archived_at is not None:
        row.archived_at = None
        row.version += 1
        uow.record(ProjectRestored(aggregate_id=row.id, organization_id=row.organization_id))
    return row


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project as people see it."""

    id: str
    name: str
    description: str
    status: str  # active or archived
    created_at: datetime
    created_by_name: str
    archived_at: datetime | None
    active_keys: int | None  # None for whoever may not see keys
    version: int


PROJECTS = Listing(
    "projects",
    row=ProjectRow,
    needs=Capability.PROJECTS_READ,
    source="project p left join account a on a.id = p.created_by",
    where="p.organization_id = :organization_id",
    columns=(
        Column("id", "p.id", Kind.ID, filterable=True),
        Column("name", "p.name", sortable=True, filterable=True, folded="p.name_key", fold=rules.sorting_key),
        Column("description", "p.description"),
        Column(
            "status",
            "case when p.archived_at is null then 'active' else 'archived' end",
            Kind.ENUM,
            values=("active", "archived"),
            filterable=True,
        ),
        Column("created_at", "p.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("created_by_name", "coalesce(nullif(a.name, ''), a.email, '')"),
        Column("archived_at", "p.archived_at", Kind.INSTANT, nullable=True),
        Column(
            "active_keys",
            "(select count(*) from api_key k where k.project_id = p.id and k.organization_id = p.organization_id"
            " and k.revoked_at is null and (k.expires_at is null or k.expires_at > :now))",
            Kind.INTEGER,
            needs=Capability.KEYS_READ,
        ),
        Column("version", "p.version", Kind.INTEGER, exported=False),
    ),
    sort="name",
)
ACTIVE = ("status", "active")


async def active_projects(uow: UnitOfWork) -> list[ProjectRow]:
    """The organisation's projects that are not archived, by name. Needs projects.read."""
    query = listing_grammar.read(PROJECTS, [ACTIVE])
    return list((await listing_sql.page(uow, query, limit=PROJECTS_MAX)).rows)


async def project(uow: UnitOfWork, project_id: str) -> ProjectRow:
    """One project. Raises NotFound, also for another organisation's."""
    row = await listing_sql.find(uow, PROJECTS, project_id)
    if row is None:
        raise not_found("project", project_id)
    return row


def _description(text: str) -> str:
    if not text.strip():
        return ""
    return rules.clean_text(
        text,
        field="description",
        what="The description",
        characters_max=DESCRIPTION_CHARACTERS_MAX,
    )


async def _require_free(uow: UnitOfWork, name: str) -> None:
    taken = await uow.execute(
        "select from project where organization_id = :organization_id and name_key = :key",
        organization_id=uow.organization_id,
        key=rules.sorting_key(name),
    )
    if taken.first() is not None:
        raise Conflict(
            f"There is a project {name!r} already.",
            next_step="Choose another name, or restore that one.",
            code="name_taken",
        )
