"""Dunning as staff runs it: campaigns, customers in them, and what a campaign would have done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import AwareDatetime, BeforeValidator, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.etag import IfMatch, showing_current
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import Repeat, RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from matrix_app.api.v1.staff_invoices import within
from models.dunning import DunningCase, StepAction
from services.collection import history
from services.collection.retry_rules import RETRIES_MAX, RETRY_DAYS
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import campaigns, cases, queries, trying
from services.dunning.campaigns import CampaignFields
from services.dunning.rules import AFTER_DAYS_MAX, STEPS_MAX, Step
from services.dunning.segments import Segment
from services.dunning.simulating import MAIL_WORKS

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
NUMBER_DIGITS_MAX = 6


def _lines(given: Any) -> Any:
    """Steps may come as lines, such as '3 mail', as a form sends them; what is none is refused with its place."""
    if not isinstance(given, str):
        return given
    parts = [line.split(None, 1) for line in given.splitlines() if line.strip()]
    return [
        {
            "after_days": _number(part[0]),
            "action": part[1].strip().replace(" ", "_") if len(part) == 2 else "",
        }
        for part in parts
    ]


def _days(given: Any) -> Any:
    return [_number(one) for one in given.replace(",", " ").split()] if isinstance(given, str) else given


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX else text


_OrNone = BeforeValidator(lambda said: said or None)


class StepGiven(Body):
    after_days: int = Field(description="After the due date", le=AFTER_DAYS_MAX)
    action: StepAction


Steps = Annotated[list[StepGiven], BeforeValidator(_lines)]
Days = Annotated[list[int], BeforeValidator(_days)]


class SegmentGiven(Body):
    """What is left out of the segment fits all. Amounts are minor units of the currency."""

    plan_id: Annotated[str | None, _OrNone] = None
    currency: Annotated[str | None, _OrNone] = None
    country: Annotated[str | None, _OrNone] = Field(None, examples=["DE"])
    minimum_minor: int = 0
    maximum_minor: int | None = None

    def segment(self) -> Segment:
        return Segment(self.plan_id, self.currency, self.country, self.minimum_minor, self.maximum_minor)


class NewCampaign(SegmentGiven):
    name: str
    rank: int = Field(0, description="Of the campaigns that fit an invoice, the one with the lowest counts")
    enabled: bool = False
    retry_days: Days = Field(
        list(RETRY_DAYS), max_length=RETRIES_MAX, description="After the first attempt that failed"
    )
    learned_hours: bool = Field(False, description="Retry in the hour that worked best before")
    steps: Steps = Field(max_length=STEPS_MAX)

    def fields(self) -> CampaignFields:
        return CampaignFields(
            self.name,
            rank=self.rank,
            enabled=self.enabled,
            learned_hours=self.learned_hours,
            segment=self.segment(),
            retry_days=tuple(self.retry_days),
            steps=tuple(Step(one.after_days, one.action) for one in self.steps),
        )


class ChangedCampaign(NewCampaign):
    version: int | None = Field(None, description="Refuse if somebody changed it since this version")


class StepSum(Shown):
    """Of one step, by its number from 0, and one currency."""

    position: int
    action: str
    currency: str
    done: int = Field(description="How often it was done")
    recovered_minor: int


class CampaignShown(Shown):
    id: str
    name: str
    rank: int
    enabled: bool
    plan_id: str | None
    currency: str | None
    country: str | None
    minimum_minor: int
    maximum_minor: int | None
    retry_days: list[int]
    learned_hours: bool
    steps: list[dict[str, Any]]
    open_cases: int
    recovered: dict[str, int] = Field(description="Minor units by currency")
    lost: dict[str, int] = Field(description="Of that, what was taken back since")
    by_step: list[StepSum] = Field(description="What each step brought in")
    created_at: AwareDatetime
    version: int


class CaseShown(Shown):
    """An overdue invoice in a campaign."""

    id: str
    organization_id: str
    organization_name: str
    invoice_id: str
    invoice_number: str | None
    campaign_id: str
    campaign: str
    state: str
    outcome: str | None
    done: int
    steps: int
    next_action: str | None
    next_at: AwareDatetime | None
    restricts: bool
    lifted: bool = Field(description="It restricts nobody for now: all is contested, or a hold says so")
    currency: str
    due_minor: int
    recovered_minor: int
    lost_minor: int = Field(description="Of that, what was taken back since")
    created_at: AwareDatetime
    ended_at: AwareDatetime | None
    reopened_at: AwareDatetime | None = Field(description="Since then another case is about the invoice")
    version: int


class StepShown(Shown):
    """A step of a case. `recovered_minor` came after it and before the next one."""

    position: int
    after_days: int
    action: str
    done_at: AwareDatetime | None
    recovered_minor: int


class BlockShown(Shown):
    """A stretch in which calls were refused. What was paid for it is credited when it is over."""

    started_at: AwareDatetime
    ended_at: AwareDatetime | None = Field(description="None while it lasts")


class CaseWithSteps(CaseShown):
    each_step: list[StepShown]
    refused: list[BlockShown] = Field(description="When it had calls refused, the last 50, the latest first")


class Tried(SegmentGiven):
    retry_days: Days = Field(list(RETRY_DAYS), max_length=RETRIES_MAX)
    steps: Steps = Field(max_length=STEPS_MAX)


class SumShown(Shown):
    """In minor units."""

    currency: str
    failed: int
    came: int = Field(description="What really came")
    expected: int = Field(description="What would have come, by the assumption")


class LearnedHoursShown(Shown):
    """Percents of retries that worked. While `is_synthetic` there is too little history: they are of a made-up one."""

    is_synthetic: bool
    fixed_percent: Decimal = Field(description="At any hour, as the fixed schedule tries")
    learned_percent: Decimal = Field(description="At those that the model would not move")
    retries: int = Field(description="Held out, of the history that the percents are of")
    agreeing: int = Field(description="Of those, in hours that the model would not move")
    known: int = Field(description="Retries that really were made in the last year, at most 20,000")


class SimulatedShown(Shown):
    """What a campaign would have done about the failures of the last quarter."""

    invoices: int
    retries: int
    mails: int
    restricted: int
    suspended: int
    cancelled: int
    written_off: int
    sums: list[SumShown]
    assumption: str


@router.get("/dunning-campaigns", **listed(queries.CAMPAIGNS, CampaignShown))
async def list_dunning_campaigns(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Campaigns, with what each has recovered."""
    return await answer(request, queries.CAMPAIGNS, CampaignShown, asked, partial(staff_work, who, READ))


@router.post(
    "/dunning-campaigns", status_code=201, response_model=CampaignShown, responses=failures(404, 409)
)
async def create_dunning_campaign(who: AnyCaller, body: NewCampaign, repeat: RepeatOnce) -> Response:
    """Make a campaign. It takes up invoices that become overdue while it is switched on."""

    async def create(uow: UnitOfWork) -> CampaignShown:
        row = await campaigns.create(uow, body.fields())
        return await _campaign(uow, row.id)

    return await repeat.once(staff_work(who, WRITE), create, owner=who.actor.id)


@router.post("/dunning-campaigns/simulate", response_model=SimulatedShown, responses=failures(404))
async def simulate_dunning_campaign(who: AnyCaller, body: Tried) -> SimulatedShown:
    """Try steps and retries on the failures of the last quarter that are in a segment, before a campaign is switched
    on."""
    async with staff_work(who, READ) as uow:
        made = await trying.tried_on_last_quarter(
            uow,
            [Step(one.after_days, one.action) for one in body.steps],
            body.retry_days,
            body.segment(),
        )
    return SimulatedShown(
        invoices=made.invoices,
        retries=made.retries,
        mails=made.mails,
        restricted=made.restricted,
        suspended=made.suspended,
        cancelled=made.cancelled,
        written_off=made.written_off,
        sums=[
            SumShown(currency=code, failed=one.failed, came=one.came, expected=one.expected)
            for code, one in sorted(made.sums.items())
        ],
        assumption=f"A retry works as often as it did for that kind of decline, a reminder {MAIL_WORKS:.0%}.",
    )


@router.get("/dunning-campaigns/learned-hours")
async def get_learned_hours(who: AnyCaller) -> LearnedHoursShown:
    """What learned hours are worth against the fixed schedule, on retries that they were not learned from."""
    async with staff_work(who, READ) as uow:
        judged = await history.learned_hours_judged(uow)
    return LearnedHoursShown(is_synthetic=judged.is_synthetic, known=judged.known, **asdict(judged.score))


@router.get("/dunning-campaigns/{dunning_campaign_id}")
async def get_dunning_campaign(who: AnyCaller, dunning_campaign_id: str) -> CampaignShown:
    """One campaign."""
    async with staff_work(who, READ) as uow:
        return await _campaign(uow, dunning_campaign_id)


@router.put("/dunning-campaigns/{dunning_campaign_id}")
async def change_dunning_campaign(
    who: AnyCaller, dunning_campaign_id: str, body: ChangedCampaign, expected: IfMatch
) -> CampaignShown:
    """Say it anew. Invoices that it has taken up already go on as it was then."""
    version = expected.version(body.version)
    async with (
        staff_work(who, WRITE) as uow,
        showing_current(lambda: _campaign(uow, dunning_campaign_id)),
    ):
        await campaigns.change(uow, dunning_campaign_id, body.fields(), version=version)
        return await _campaign(uow, dunning_campaign_id)


@router.get("/dunning", **listed(queries.CASES, CaseShown))
async def list_dunning(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Overdue invoices in campaigns, the newest first."""
    return await answer(request, queries.CASES, CaseShown, asked, partial(staff_work, who, READ))


@router.get("/dunning/{dunning_case_id}")
async def get_dunning(who: AnyCaller, dunning_case_id: str) -> CaseWithSteps:
    """One of them, with its steps and what each brought in, and when it had calls refused."""
    async with staff_work(who, READ) as uow:
        shown = await _case(uow, dunning_case_id)
        steps = await queries.steps_of(uow, dunning_case_id)
        blocks = await queries.blocks_of(uow, dunning_case_id)
    return CaseWithSteps(
        **shown.model_dump(),
        each_step=[StepShown.model_validate(step) for step in steps],
        refused=[BlockShown.model_validate(block) for block in blocks],
    )


@router.post("/dunning/{dunning_case_id}/pause", response_model=CaseShown, responses=failures(409))
async def pause_dunning(who: AnyCaller, dunning_case_id: str, repeat: RepeatOnce) -> Response:
    """Do nothing more about it until it is resumed."""
    return await _act(who, dunning_case_id, repeat, cases.pause)


@router.post("/dunning/{dunning_case_id}/resume", response_model=CaseShown, responses=failures(409))
async def resume_dunning(who: AnyCaller, dunning_case_id: str, repeat: RepeatOnce) -> Response:
    """Go on with the next step, at once if its day has passed."""
    return await _act(who, dunning_case_id, repeat, cases.resume)


@router.post("/dunning/{dunning_case_id}/skip", response_model=CaseShown, responses=failures(409))
async def skip_dunning(who: AnyCaller, dunning_case_id: str, repeat: RepeatOnce) -> Response:
    """End it: somebody takes care of the invoice. What was restricted works again."""
    return await _act(who, dunning_case_id, repeat, cases.skip)


async def _act(
    who: AnyCaller, case_id: str, repeat: Repeat, verb: Callable[[UnitOfWork, str], Awaitable[DunningCase]]
) -> Response:
    async def act(uow: UnitOfWork) -> CaseShown:
        await verb(uow, case_id)
        await uow.session.flush()
        return await _case(uow, case_id)

    async with staff_work(who, WRITE) as uow:
        found = await queries.case(uow, case_id)
    work = within(who, found.organization_id, WRITE)
    return await repeat.once(work, act, owner=who.actor.id, status=200)


async def _campaign(uow: UnitOfWork, campaign_id: str) -> CampaignShown:
    return CampaignShown.model_validate(await queries.campaign(uow, campaign_id))


async def _case(uow: UnitOfWork, case_id: str) -> CaseShown:
    return CaseShown.model_validate(await queries.case(uow, case_id))
