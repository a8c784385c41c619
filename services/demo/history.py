"""What happened in the demo before today, as steps in the order of their moments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from models.types import OrganizationKind
from services.billing_runs import usage_running
from services.catalog import service as catalog
from services.core.actor import Actor
from services.core.permissions import ROLE_CAPABILITIES
from services.core.work import UnitOfWork
from services.demo import billed_year, invoicing, offers
from services.demo.progress import Made, Step
from services.demo.stories import HALDEN, KUMO, OPERATOR, STORIES, Invited, Key, Program, Project, Story
from services.identity import accounts, invitations, keys, organizations, projects, service_accounts
from services.tasks import service as tasks

PRICES_DAYS = 119  # before today: everything is priced from before the first call
PLANS_DAYS = 370  # from before the first subscription
PRICE_CUT_DAYS = 30
OVERLAP_HOURS = 48


Amounts = dict[str, tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class Tariff:
    """Price of a million tokens of one meter, by currency: before and after the cut."""

    endpoint: str
    meter: str
    amounts: Amounts


def _amounts(
    dollars: str, then_dollars: str, euros: str, then_euros: str, yen: int, then_yen: int
) -> Amounts:
    return {
        "USD": (Decimal(dollars), Decimal(then_dollars)),
        "EUR": (Decimal(euros), Decimal(then_euros)),
        "JPY": (Decimal(yen), Decimal(then_yen)),
    }


TARIFFS = (
    Tariff("chat", "prompt_tokens", _amounts("3.00", "2.40", "2.80", "2.24", 450, 360)),
    Tariff("chat", "completion_tokens", _amounts("9.00", "7.20", "8.40", "6.72", 1_350, 1_080)),
    Tariff("embeddings", "prompt_tokens", _amounts("0.80", "0.60", "0.75", "0.56", 120, 90)),
)
Hashes = Mapping[str, str]  # of passwords, by mail address


def organization_of(story: Story) -> str:
    """The name under which a step leaves the organisation's id."""
    return f"{story.domain}/organization"


def account_of(story: Story, person: int) -> str:
    return f"{story.domain}/account/{person}"


def key_of(story: Story, key: Key, *, rotated: bool = False) -> str:
    return f"{story.domain}/key/{key.name}{'/rotated' if rotated else ''}"


def project_of(story: Story, name: str) -> str:
    return f"{story.domain}/project/{name}"


def program_of(story: Story, name: str) -> str:
    return f"{story.domain}/program/{name}"


def member(story: Story, person: int, made: Made) -> Actor:
    """One of the story's people at work in their organisation."""
    account_id, role = made[account_of(story, person)], story.people[person].role
    return Actor(
        account_id, made[organization_of(story)], ROLE_CAPABILITIES[role], role=role, account_id=account_id
    )


def steps(today: datetime, *, models: dict[str, str], hashes: Hashes) -> list[Step]:
    """Everything but usage, the oldest first. `today` is the moment at which the demo was first made."""
    made = [_founding(story, today, hashes) for story in STORIES]
    made += [step for story in STORIES for step in _part_steps(story, today)]
    made += [step for story in STORIES for key in story.keys for step in _key_steps(story, key, today)]
    made += [
        _pricing("first prices", _midnight(today, PRICES_DAYS), models, 0),
        _pricing("price cut", _midnight(today, PRICE_CUT_DAYS), models, 1),
        Step(
            "plans",
            _midnight(today, PLANS_DAYS),
            offers.publish_plans,
            lambda made: member(OPERATOR, 0, made),
        ),
        _export(today),
        invoicing.seller(today),
        *billed_year.steps(today, hashes, models["chat"]),
        *invoicing.steps(HALDEN, organization_of(HALDEN), today),
        *invoicing.wallet_steps(KUMO, organization_of(KUMO), today),
    ]
    return sorted(made, key=lambda step: step.at)


def _founding(story: Story, today: datetime, hashes: Hashes) -> Step:
    async def found(uow: UnitOfWork, _: Made) -> Made:
        people = {
            account_of(story, number): await accounts.add_confirmed(
                uow,
                email=story.address_of(person),
                name=person.name,
                password_hash=hashes[story.address_of(person)],
            )
            for number, person in enumerate(story.people)
        }
        await uow.session.flush()
        owner, *others = people.values()
        organization = await organizations.found_organization(
            uow,
            owner_id=owner,
            kind=story.kind,
            name=story.name,
            timezone=story.timezone,
            currency=story.currency,
            billing_mode=story.billing_mode,
        )
        # What was called before the demo was made is history, and on nobody's invoice.
        if story.kind is not OrganizationKind.OPERATOR:
            await usage_running.begin(uow, organization.id, at=today, zone=story.timezone)
        for person, account_id in zip(story.people[1:], others, strict=True):
            await organizations.add_member(uow, organization, account_id=account_id, role=person.role)
        return {**people, organization_of(story): organization.id}

    return Step(f"found {story.domain}", today - timedelta(days=story.founded), found)


def _part_steps(story: Story, today: datetime) -> list[Step]:
    """Projects, programs and invitations, all by the owner."""

    def step(name: str, days: int, act: Callable[[UnitOfWork, Made], Awaitable[Made]]) -> Step:
        return Step(name, today - timedelta(days=days), act, lambda made: member(story, 0, made))

    def project(one: Project) -> Step:
        async def create(uow: UnitOfWork, _: Made) -> Made:
            row = await projects.create_project(uow, name=one.name, description=one.description)
            return {project_of(story, one.name): row.id}

        return step(f"create {project_of(story, one.name)}", one.made, create)

    def program(one: Program) -> Step:
        async def create(uow: UnitOfWork, _: Made) -> Made:
            row = await service_accounts.create_service_account(uow, name=one.name, role=one.role)
            return {program_of(story, one.name): row.id}

        return step(f"create {program_of(story, one.name)}", one.made, create)

    def invitation(one: Invited) -> Step:
        async def invite(uow: UnitOfWork, _: Made) -> Made:
            await invitations.invite(uow, email=f"{one.first_name}@{story.domain}", role=one.role)
            return {}

        return step(f"invite {one.first_name}@{story.domain}", one.days_ago, invite)

    return [
        *map(project, story.projects),
        *map(program, story.programs),
        *map(invitation, story.invited),
    ]


def _key_steps(story: Story, key: Key, today: datetime) -> list[Step]:
    async def create(uow: UnitOfWork, made: Made) -> Made:
        created = await keys.create_key(
            uow,
            name=key.name,
            scopes=key.scopes,
            limits=keys.Limits(key.requests_per_minute, key.tokens_per_minute),
            expires_at=today + timedelta(days=key.expires_in) if key.expires_in is not None else None,
            project_id=made[project_of(story, key.project)] if key.project else None,
            service_account_id=made[program_of(story, key.program)] if key.program else None,
        )
        return {key_of(story, key): created.key.id}

    async def rotate(uow: UnitOfWork, made: Made) -> Made:
        created = await keys.rotate_key(uow, made[key_of(story, key)], overlap_hours=OVERLAP_HOURS)
        return {key_of(story, key, rotated=True): created.key.id}

    async def revoke(uow: UnitOfWork, made: Made) -> Made:
        await keys.revoke_key(uow, made[key_of(story, key)])
        return {}

    acts = (("create", key.made, create), ("rotate", key.rotated, rotate), ("revoke", key.revoked, revoke))
    return [
        Step(
            f"{verb} {key_of(story, key)}",
            today - timedelta(days=days),
            act,
            lambda made: member(story, key.by, made),
        )
        for verb, days, act in acts
        if days is not None
    ]


def _export(today: datetime) -> Step:
    """An administrator wants the list of keys; the worker makes the file and tells them, as it would anybody."""

    async def ask(uow: UnitOfWork, _: Made) -> Made:
        await tasks.ask(uow, "export", {"list": "keys", "filters": [["sort", "name"]]})
        return {}

    return Step("export of keys", today, ask, lambda made: member(HALDEN, 1, made))


def _pricing(name: str, at: datetime, models: dict[str, str], turn: int) -> Step:
    async def price(uow: UnitOfWork, _: Made) -> Made:
        for tariff in TARIFFS:
            for currency, amounts in tariff.amounts.items():
                await catalog.set_price(
                    uow,
                    model=models[tariff.endpoint],
                    meter=tariff.meter,
                    currency=currency,
                    unit_amount=amounts[turn],
                )
        return {}

    return Step(name, at, price, lambda made: member(OPERATOR, 0, made))


def _midnight(today: datetime, days: int) -> datetime:
    return (today - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
