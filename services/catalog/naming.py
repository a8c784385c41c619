"""What products and plans are called and said to be. Slugs, which programs know them by, never change."""

from __future__ import annotations

from models.plans import Plan, Product
from services.catalog import plan_rules, policies
from services.catalog.events import PlanRenamed, ProductRenamed
from services.core.work import UnitOfWork


async def rename_product(
    uow: UnitOfWork,
    product_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    version: int | None = None,
) -> Product:
    """Change what is given, for staff in work across tenants. Changing nothing records nothing.

    Raises Forbidden, NotFound, StaleVersion and Invalid.
    """
    row = await policies.product_for_writing(uow, product_id, version)
    if changed := _rename(row, name, description):
        await uow.session.flush()
        uow.record(ProductRenamed(aggregate_id=row.id, organization_id=None, name=row.name, changed=changed))
    return row


async def rename_plan(
    uow: UnitOfWork,
    plan_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    version: int | None = None,
) -> Plan:
    """The same of a plan. Its versions, and what was billed under its name, stay as they are."""
    row = await policies.plan_for_writing(uow, plan_id, version)
    if changed := _rename(row, name, description):
        await uow.session.flush()
        uow.record(PlanRenamed(aggregate_id=row.id, organization_id=None, name=row.name, changed=changed))
    return row


def _rename(row: Product | Plan, name: str | None, description: str | None) -> list[str]:
    """The fields that changed."""
    wanted: dict[str, str] = {}
    if name is not None:
        wanted["name"] = plan_rules.require_name(name)
    if description is not None:
        wanted["description"] = plan_rules.require_description(description)
    changed = [field for field, text in wanted.items() if getattr(row, field) != text]
    for field in changed:
        setattr(row, field, wanted[field])
    row.version += bool(changed)
    return changed
