"""The terms of service: versions as staff publishes them, and who of an organisation has accepted which."""

from __future__ import annotations

from functools import partial

from fastapi import Depends, Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Member, staff_work, stranger
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from services.core.crossing import Reason, crossing
from services.core.errors import NotFound
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.terms import queries
from services.terms import service as terms

router = resource("terms")
READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE


class AcceptanceShown(Shown):
    """That somebody accepted a version, the first time they did."""

    id: str
    number: int = Field(description="Of the version")
    sha256: str = Field(description="Of its text")
    account_id: str
    name: str
    email: str
    occasion: str = Field(description="What they did: founding, subscribing or paying")
    address: str = Field(description="From where")
    user_agent: str = Field(description="With what")
    accepted_at: AwareDatetime


class TermsShown(Shown):
    """A version. It stays as it was published."""

    id: str
    number: int
    text: str
    sha256: str
    author: str
    accepted: int = Field(description="By how many organisations")
    published_at: AwareDatetime


class NewTerms(Body):
    text: str = Field(description="Plain text", max_length=terms.TEXT_CHARACTERS_MAX)


class TermsInForce(Shown):
    number: int
    text: str = Field(description="Plain text")
    published_at: AwareDatetime


class TermsPublished(Shown):
    id: str
    number: int
    published_at: AwareDatetime


@router.get("/terms", dependencies=[Depends(stranger)], responses=failures(404))
async def get_terms() -> TermsInForce:
    """The terms of service that count: who founds an organisation, subscribes or pays accepts them. For anybody."""
    async with crossing(Reason.CATALOG) as uow:
        found = await queries.current(uow)
        if found is None:
            raise NotFound("No terms of service are published yet.")
        return TermsInForce.model_validate(found)


@router.get("/terms-acceptances", **listed(queries.ACCEPTANCES, AcceptanceShown))
async def list_terms_acceptances(request: Request, who: Member, asked: Asked) -> Answer:
    """Who of the organisation has accepted which terms, when, from where and with what; the latest first."""
    return await answer(request, queries.ACCEPTANCES, AcceptanceShown, asked, lambda: unit_of_work(who.actor))


@router.get("/staff/terms", **listed(queries.VERSIONS, TermsShown))
async def list_terms(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Versions of the terms, the newest first; that one counts."""
    return await answer(request, queries.VERSIONS, TermsShown, asked, partial(staff_work, who, READ))


@router.post("/staff/terms", status_code=201, response_model=TermsPublished)
async def publish_terms(who: AnyCaller, body: NewTerms, repeat: RepeatOnce) -> Response:
    """Publish the next version. It counts at once and never changes; who acts from now on accepts it."""

    async def publish(uow: UnitOfWork) -> TermsPublished:
        return TermsPublished.model_validate(await terms.publish(uow, body.text))

    return await repeat.once(staff_work(who, WRITE), publish, owner=who.actor.id)
