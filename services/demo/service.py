"""Making the demo: everything through the verbs that people and programs use, in the order it happened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

from services.core import listing_sql
from services.core.clock import Clock, SystemClock
from services.core.database import Database
from services.core.logs import get_logger
from services.core.settings import Settings
from services.core.work import UnitOfWork, unit_of_work
from services.demo import billed_year, card, history
from services.demo.history import key_of, organization_of
from services.demo.progress import Made, Progress, Step
from services.demo.stories import BILLED, CLIENTS, HALDEN, HISTORY_DAYS, STORIES, Story
from services.demo.traffic import KeySpan, Place, calls_of
from services.gateway import settlement, upstreams
from services.gateway.directory import BUILTIN
from services.gateway.queries import UPSTREAMS, staff_models
from services.identity import keys, passwords
from services.identity.key_queries import find_by_secret, list_keys
from services.metering import rollup
from services.metering.service import ensure_platform_meters

log = get_logger(__name__)

BEGUN, FINISHED = "begin", "finish"
BEFORE_ALL = timedelta(days=121)  # before today: models are there, and nobody yet
USAGE_STEP_DAYS = 13  # of one organisation, in one transaction
HANDS = 2  # while the database writes one step, the next is made up
SETTLE_CALLS = 2_000  # in one statement
SHOWCASE_KEY = "Getting started"
SHOWCASE_SCOPES = ("inference", "usage:read", "usage:write", "keys:read")


async def ensure_demo(database: Database, settings: Settings, *, clock: Clock | None = None) -> None:
    """Make what is missing of the demo, and its card in the data folder.

    `database` is the installed one, and migrated. May be killed at any point and run again: it goes on where
    it was. On a finished demo it writes nothing, except a new card (with a new key) when the card is gone or its
    key was ended.
    """
    clock = clock or SystemClock()
    progress = Progress(database)
    await progress.read()
    if FINISHED not in progress.steps:
        await _make(progress, clock)
    await _ensure_card(progress, settings, clock)


async def _make(progress: Progress, clock: Clock) -> None:
    await progress.once(Step(BEGUN, clock.now() - BEFORE_ALL, _begin))
    today = datetime.fromisoformat(progress.made["today"])
    for step in history.steps(today, models=_models(progress.made), hashes=await _hashes(progress)):
        await billed_year.turn_to(progress, step.at, today=today)
        await progress.once(step)
    await billed_year.turn_to(progress, today, today=today)
    usage = (step for story in CLIENTS for step in _usage(story, _place(progress.made, story, today), today))
    await asyncio.gather(*(_take_from(usage, progress) for _ in range(HANDS)))
    await rollup.compact(progress.on)
    await progress.once(Step(FINISHED, today, _finish))
    log.info("demo_made", steps=len(progress.steps))


async def _take_from(steps: Iterator[Step], progress: Progress) -> None:
    """One of several at work on steps that do not depend on each other."""
    for step in steps:
        await progress.once(step)


async def _begin(uow: UnitOfWork, _: Made) -> Made:
    await ensure_platform_meters(uow)
    await upstreams.ensure_builtin(uow)
    builtin = {row.id for row in await listing_sql.select(uow, UPSTREAMS, ("kind", BUILTIN))}
    served = {
        f"model/{endpoint}": model.slug
        for model in await staff_models(uow)
        if model.upstream_id in builtin
        for endpoint in model.endpoints
    }
    return {"today": (uow.wall_now + BEFORE_ALL).isoformat(), "upstream": min(builtin), **served}


def _models(made: Made) -> dict[str, str]:
    return {name.removeprefix("model/"): slug for name, slug in made.items() if name.startswith("model/")}


async def _finish(_: UnitOfWork, __: Made) -> Made:
    return {}


async def _hashes(progress: Progress) -> history.Hashes:
    """Password hashes of the people that are not there yet: made before any transaction needs them."""
    people = [
        (story.address_of(person), person.password)
        for story in (*STORIES, *BILLED)
        if organization_of(story) not in progress.made
        for person in story.people
    ]
    hashes = await asyncio.gather(*(passwords.hashed(password) for _, password in people))
    return {email: hashed for (email, _), hashed in zip(people, hashes, strict=True)}


def _usage(story: Story, place: Place, today: datetime) -> Iterator[Step]:
    """The story's calls up to `today`, booked as the gateway books them, the newest days first."""

    def book(days: range) -> Step:
        async def settle(uow: UnitOfWork, _: Made) -> Made:
            calls = calls_of(story, place, until=today, days=days)
            for start in range(0, len(calls), SETTLE_CALLS):
                await settlement.settle(uow, calls[start : start + SETTLE_CALLS])
            if calls:
                await keys.touch_last_used(uow, {call.key_id: call.started_at for call in calls})
            return {}

        return Step(f"usage {story.domain} {days.start}-{days.stop}", today, settle)

    for newest in range(0, HISTORY_DAYS, USAGE_STEP_DAYS):
        yield book(range(newest, min(newest + USAGE_STEP_DAYS, HISTORY_DAYS)))


def _place(made: Made, story: Story, today: datetime) -> Place:
    spans: list[KeySpan] = []
    for key in story.keys:
        spans.append(KeySpan(key.name, made[key_of(story, key)], today - timedelta(days=key.made)))
        if key.rotated is not None:
            # Nobody changes a secret everywhere in the minute it is rotated.
            since = today - timedelta(days=key.rotated) + timedelta(hours=history.OVERLAP_HOURS / 2)
            spans.append(KeySpan(key.name, made[key_of(story, key, rotated=True)], since))
    return Place(made[organization_of(story)], _models(made), made["upstream"], tuple(spans))


async def _ensure_card(progress: Progress, settings: Settings, clock: Clock) -> None:
    """A card with a key that works and will go on to: the one that is there, or a new one in its place."""
    organization_id = progress.made[organization_of(HALDEN)]
    secret = card.read_secret(settings.data_dir)
    facts = await find_by_secret(secret) if secret is not None else None
    if secret is None or facts is None or facts.organization_id != organization_id:
        await _revoke_lost_keys(progress, clock)
        secret = await _new_showcase_key(progress, clock)
    elif facts.revoked_at is not None or facts.expires_at is not None:  # somebody revoked or rotated it
        secret = await _new_showcase_key(progress, clock)
    card.write(settings.data_dir, card.Card(settings.public_url, card.accounts(), secret, organization_id))


async def _revoke_lost_keys(progress: Progress, clock: Clock) -> None:
    """End the keys of lost cards, whose secrets nobody has. What somebody got by rotating one is theirs."""
    owner = history.member(HALDEN, 0, progress.made)
    async with unit_of_work(owner, on=progress.on, clock=clock) as uow:
        for key in await list_keys(uow, include_ended=False, limit=keys.ACTIVE_KEYS_MAX):
            if key.name == SHOWCASE_KEY and key.replaces_id is None:
                await keys.revoke_key(uow, key.id)


async def _new_showcase_key(progress: Progress, clock: Clock) -> str:
    """The secret of a fresh key of the first client."""
    owner = history.member(HALDEN, 0, progress.made)
    async with unit_of_work(owner, on=progress.on, clock=clock) as uow:
        return (await keys.create_key(uow, name=SHOWCASE_KEY, scopes=SHOWCASE_SCOPES)).secret
