"""To whom the organisation's own documents are addressed, as it says itself. What staff says is in issuers.py."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from matrix_app.api.deps import Member
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from services.billing import profiles, queries
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.documents.words import LANGUAGES
from services.tax.numbers import NUMBER_CHARACTERS_MAX

router = resource("invoices")


class OwnBillingProfileShown(Shown):
    organization_id: str
    name: str
    address: str
    country: str
    language: str
    tax_number: dict[str, Any] | None = Field(
        description="With its `state`: `unchecked`, `valid`, `invalid`, or `unavailable` while its register does not"
        " answer; who found it so, when, and under which reference"
    )
    updated_at: AwareDatetime
    version: int


class OwnBillingProfile(Body):
    name: str
    address: str = Field(description="Lines as they stand on a letter, without the country")
    country: str = Field(examples=["DE"])
    language: str = Field("en", description=f"Of documents: one of {', '.join(LANGUAGES)}")
    tax_number: str | None = Field(
        None,
        max_length=NUMBER_CHARACTERS_MAX,
        examples=["DE136695976"],
        description="As it stands in your register. Left out: as it is; empty: none",
    )
    version: int | None = Field(None, description="As it was read, 0 for none; or send it as If-Match")


@router.get("/billing-profile", responses=failures(404))
async def get_own_billing_profile(who: Member) -> OwnBillingProfileShown:
    """To whom the organisation's invoices are addressed."""
    async with unit_of_work(who.actor) as uow:
        return await _own(uow)


async def _own(uow: UnitOfWork) -> OwnBillingProfileShown:
    row = await queries.profile(uow, needs=Capability.INVOICES_READ)
    return OwnBillingProfileShown.model_validate(row)


@router.put("/billing-profile")
async def set_own_billing_profile(
    who: Member, body: OwnBillingProfile, expected: IfMatch
) -> OwnBillingProfileShown:
    """Say to whom invoices are addressed. Those that are final keep what was said then.

    A tax number is checked for its form at once, and its register asked whether it exists within a minute or as soon as
    it answers. A change of country leaves out what was checked of it: it was checked for another one.
    """
    given = body.model_dump(exclude={"version"})
    async with unit_of_work(who.actor) as uow, showing_current(lambda: _own(uow)):
        await profiles.set_own(uow, **given, version=expected.version(body.version))
        return await _own(uow)
