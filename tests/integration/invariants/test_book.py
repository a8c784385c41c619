"""Each invariant finds what contradicts it, and nothing in a sound house."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from models.identity import Organization
from models.types import OrganizationKind, Role
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Forbidden
from services.core.postgres import EmbeddedPostgres
from services.core.work import unit_of_work
from services.identity import keys
from services.invariants import book, check
from services.invariants.rule import Invariant
from services.metering import rules, service
from tests.checks import assert_invariants, assert_invariants_at
from tests.world import World

NOW = datetime.now(UTC)


@dataclass
class House:
    """One organisation with an owner, a key and one answered call; statements as the tables' owner."""

    world: World
    organization: Organization
    owner_url: str

    async def run(self, statement: str, **values: object) -> None:
        """Change rows behind the product's back."""
        engine = create_async_engine(self.owner_url, poolclass=sa.NullPool)
        async with engine.begin() as connection:
            await connection.execute(sa.text(statement), values)

    async def evidence(self, rule: type[Invariant]) -> list[dict[str, object]]:
        async with crossing(Reason.INVARIANTS) as uow:
            return await check.evidence_against(rule, uow)


@pytest.fixture
async def house(database: Database, world: World, owner_url: str) -> House:
    organization = await world.organization(name="Acme")
    await world.account("ana@example.com", member_of=organization)
    async with crossing(Reason.CATALOG) as uow:
        await service.ensure_platform_meters(uow)
    async with unit_of_work(world.actor(organization)) as uow:
        await keys.create_key(uow, name="Laptop")
    event = rules.gateway_event(
        organization_id=organization.id, request_id="req_1", time=NOW, model="m", key_id="",
        prompt_tokens=7, completion_tokens=5, endpoint="chat", status=200,
    )  # fmt: skip
    async with crossing(Reason.GATEWAY_SETTLEMENT) as uow:
        await service.record(uow, [event])
    made = House(world, organization, owner_url)
    await made.run(REQUEST, id="req_1", organization=organization.id)
    return made


REQUEST = (
    "insert into request (organization_id, id, key_id, account_id, model, upstream_id, endpoint, streamed, status,"
    " error_code, prompt_tokens, completion_tokens, tokens_source, started_at, latency_ms, attempts, currency,"
    " address, trace_id) values (:organization, :id, '', '', 'm', '', 'chat', false, 200, '', 7, 5, 'upstream',"
    " now(), 1, 1, 'USD', '', '')"
)
EVENT = (
    "insert into event (type, aggregate_id, organization_id, actor_id, payload, happened_at, recorded_at, trace_id,"
    " position) values ('{type}', 'x', null, '', '{{}}', now(), {recorded}, '', {position})"
)
PROJECT = (
    "insert into project (id, organization_id, name, name_key, description, created_at, version)"
    " values ('proj_1', :organization, 'P', 'p', '', now(), 1)"
)
SESSION = (
    "insert into session (id, token_hash, account_id, user_agent, address, created_at, last_seen_at, expires_at,"
    " proved_at) select 'ses_1', 'h', id, '', '', now(), now() + interval '5 minutes', now() + interval '1 day',"
    " now() from account"
)
INVITATION = (
    "insert into invitation (id, organization_id, email, email_key, role, token_hash, invited_by, created_at,"
    " expires_at, accepted_at, accepted_by, version) select 'invite_1', :organization, 'b@example.com',"
    " 'b@example.com', 'viewer', 'h', id, now() - interval '9 days', now() - interval '1 day', now(), id, 1"
    " from account"
)

# An account, and a journal of one entry alone, past the triggers that refuse it.
UNBALANCED = (
    "do $$ begin"
    " alter table ledger_journal disable trigger user; alter table ledger_entry disable trigger user;"
    " insert into ledger_account values ('lacc_1', '{organization}', 'USD', 'cash', 'asset', now());"
    " insert into ledger_journal (id, organization_id, key, content_hash, kind, cause_id, entries, note, happened_at,"
    " recorded_at) values ('jrnl_1', '{organization}', 'k', 'h', 'payment', 'c', 2, '', now(), now());"
    " insert into ledger_entry (organization_id, journal_id, line, account_id, currency, minor, happened_at)"
    " values ('{organization}', 'jrnl_1', 1, 'lacc_1', 'USD', 5, now()); end $$"
)
DEFERRAL = (
    "insert into ledger_deferral values (:organization, 'line_1', 'USD', 5, now() - interval '9 days',"
    " now() - interval '3 days', 'second', 'month', 'UTC', 0, now() - interval '3 days', now())"
)

ENTITY = (
    "insert into legal_entity (id, code, name, address, country, tax_ids, registrations, reverse_charge_in, timezone,"
    " currency, invoice_pattern, invoice_reset, note_pattern, note_reset, tax_rounding, zero_documents, grace_hours,"
    " payment_days, is_test, is_usual, created_at, version, trusts_unanswered)"
    " values ('ent_1', 'E1', 'Entity', 'Street', 'DE', '[]', '[]', '[]', 'UTC', 'USD',"
    " 'x{{seq}}', 'never', 'y{{seq}}', 'never', 'line', 'issue', 0, 0, false, true, now(), 1, false);"
    " insert into brand (id, legal_entity_id, code, name, is_default, created_at, version)"
    " values ('brnd_1', 'ent_1', 'MX', 'Entity', true, now(), 1);"
)
# A document that asks for 5 without a line, and its journal, with nothing behind it in the books.
DOCUMENT = (
    "do $$ begin "
    + ENTITY
    + " alter table ledger_journal disable trigger user; alter table invoice disable trigger user;"
    " insert into number_series values ('ent_1', 'invoice', '', '', 1);"
    " insert into ledger_account values ('lacc_1', '{organization}', 'USD', 'receivable', 'asset', now());"
    " insert into ledger_journal (id, organization_id, key, content_hash, kind, cause_id, entries, note, happened_at,"
    " recorded_at) values ('jrnl_1', '{organization}', 'k', 'h', 'invoice', 'inv_1', 2, '', now(), now());"
    " insert into invoice (id, organization_id, legal_entity_id, brand_id, key, state, currency, memo, lines,"
    " next_position, number, series_brand, series_period, sequence, charged_minor, discount_minor, net_minor,"
    " tax_minor, total_minor, credited_minor, offset_minor, paid_minor, written_off_minor, due_minor, created_at,"
    " collect_until, finalized_at) values ('inv_1', '{organization}', 'ent_1', 'brnd_1', 'k', 'finalized', 'USD', '',"
    " 0, 1, 'x1', '', '', 1, 5, 0, 5, 0, 5, 0, 0, 0, 0, 5, now(), now(), now()); end $$"
)
DRAWN = (
    "do $$ begin " + ENTITY + " insert into number_series values ('ent_1', 'credit_note', '', '', 2); end $$"
)

# A payment that counts 5 as given back, of which there is a refund of 4.
REFUND = (
    "do $$ begin"
    " insert into payment (id, organization_id, provider, keep_method, key, state, initiator, currency, minor,"
    " applied_minor, refunded_minor, message, reference, created_at, asked_at, succeeded_at, checks, version)"
    " values ('pay_1', '{organization}', 'bank', false, 'k', 'succeeded', 'staff', 'USD', 5, 0, 5, '', '', now(),"
    " now(), now(), 0, 1);"
    " insert into refund (id, organization_id, payment_id, key, asked, destination, state, currency, minor, credits,"
    " reason, refusal, requested_by, reference, created_at, checks, version)"
    " values ('rfnd_1', '{organization}', 'pay_1', 'k', '{{}}', 'source', 'sending', 'USD', 4, '{{}}', 'r', '', 'a',"
    " '', now(), 0, 1); end $$"
)

# A wallet with money that no lot brought, and a journal of its organisation that is new.
WALLET = UNBALANCED.replace(
    "end $$",
    "alter table wallet disable trigger user;"
    " insert into wallet (id, organization_id, currency, minor_per_major, inbound_minor, outbound_minor,"
    " breakage_minor, left_minor, accrued, held, uncovered, created_at, version)"
    " values ('wal_1', '{organization}', 'USD', 100, 5, 0, 0, 5, 0, 0, 0, now(), 1); end $$",
)

Break = Callable[[House], list[tuple[str, dict[str, object]]]]


def of(house: House) -> dict[str, object]:
    return {"organization": house.organization.id}


BREAKS: list[tuple[type[Invariant], Break]] = [
    (book.EveryAnswerHasItsUsageEvent, lambda h: [(REQUEST, {"id": "req_2", **of(h)})]),
    (book.RollUpsEqualRawEvents, lambda _: [("update usage_delta set quantity = quantity + 1", {})]),
    (book.RollUpsEqualRawEvents, lambda _: [("delete from usage_delta", {})]),
    (
        book.KeysBelongWhereTheirProjectDoes,
        lambda h: [
            (
                "insert into organization (id, kind, name, name_key, timezone, currency, billing_mode, created_at,"
                " version) values ('org_2', 'client', 'B', 'b', 'UTC', 'USD', 'postpaid', now(), 1)",
                {},
            ),
            (PROJECT, {"organization": "org_2"}),
            ("update api_key set project_id = 'proj_1'", {}),
        ],
    ),
    (
        book.NoSessionOutlivesSuspension,
        lambda _: [("update account set suspended_at = now()", {}), (SESSION, {})],
    ),
    (
        book.PositionsHaveNoGap,
        lambda _: [(EVENT.format(type="t", recorded="now()", position=n), {}) for n in (7, 8, 10)],
    ),
    (
        book.EveryEventIsPositioned,
        lambda _: [(EVENT.format(type="t", recorded="now() - interval '2 minutes'", position="null"), {})],
    ),
    (
        book.NoSubscriberIsAheadOfTheLog,
        lambda _: [("insert into subscriber_cursor values ('mail', 99, now())", {})],
    ),
    (book.EveryOrganizationHasAnOwner, lambda _: [("update membership set role = 'admin'", {})]),
    (book.EveryOrganizationHasAnOwner, lambda _: [("update membership set suspended_at = now()", {})]),
    (book.InvitationsAreAcceptedOnce, lambda h: [(INVITATION, of(h))]),
    (book.EveryJournalBalances, lambda h: [(UNBALANCED.format(**of(h)), {})]),
    (book.EveryBookAddsUp, lambda h: [(UNBALANCED.format(**of(h)), {})]),
    (book.RevenueIsEarnedInTime, lambda h: [(DEFERRAL, of(h))]),
    (book.NumbersHaveNoGap, lambda _: [(DRAWN.replace("{{", "{").replace("}}", "}"), {})]),
    (book.InvoicesAreTheSumOfTheirLines, lambda h: [(DOCUMENT.format(**of(h)), {})]),
    (book.RefundsAddUp, lambda h: [(REFUND.format(**of(h)), {})]),
    (book.WalletsAddUp, lambda h: [(WALLET.format(**of(h)), {})]),
    (book.ReceivableIsWhatIsOpen, lambda h: [(DOCUMENT.format(**of(h)), {})]),
    (
        book.InvitationsAreAcceptedOnce,
        lambda _: [
            (EVENT.format(type="invitation.accepted", recorded="now()", position=n), {}) for n in (1, 2)
        ],
    ),
]


async def test_a_sound_house_contradicts_nothing(house: House) -> None:
    await assert_invariants()


@pytest.mark.parametrize(
    ("rule", "damage"), BREAKS, ids=[f"{rule.name}-{n}" for n, (rule, _) in enumerate(BREAKS)]
)
async def test_damage_is_found(house: House, rule: type[Invariant], damage: Break) -> None:
    for statement, values in damage(house):
        await house.run(statement, **values)

    evidence = await house.evidence(rule)

    assert 1 <= len(evidence) <= rule.evidence_max
    with pytest.raises(AssertionError, match=rule.name):
        await assert_invariants()


def test_every_rule_is_broken_in_some_test_and_has_its_sentence() -> None:
    assert {rule for rule, _ in BREAKS} == set(book.BOOK)
    names = [rule.name for rule in book.BOOK]
    assert len(names) == len(set(names))
    assert all(rule.means.endswith((".", "?")) for rule in book.BOOK)


OWNERS = [book.EveryOrganizationHasAnOwner]


async def test_what_is_found_is_kept_with_the_moment_it_broke_and_forgotten_when_mended(
    house: House, written: io.StringIO
) -> None:
    clock = FixedClock(NOW)
    assert await check.check_all(rules=OWNERS, clock=clock) == 0
    await house.run("update membership set role = 'admin'")
    clock.at += timedelta(minutes=5)
    assert await check.check_all(rules=OWNERS, clock=clock) == 1
    broken_at = clock.at
    clock.at += timedelta(minutes=5)
    assert await check.check_all(rules=OWNERS, clock=clock) == 1

    operators = await house.world.organization(OrganizationKind.OPERATOR)
    staff = house.world.actor(operators, Role.SUPPORT)
    async with crossing(Reason.STAFF, actor=staff) as uow:
        first, *others = await check.results(uow)
    assert (first.name, first.broken_since, first.checked_at) == (
        "organization_has_owner",
        broken_at,
        clock.at,
    )
    assert first.evidence == [{"organization_id": house.organization.id}]
    assert [other.broken_since for other in others] == [None] * len(others)
    assert '"invariant": "organization_has_owner"' in written.getvalue()

    await house.run("update membership set role = 'owner'")
    await house.run("delete from organization where kind = 'operator'")
    assert await check.check_all(rules=OWNERS, clock=clock) == 0
    async with crossing(Reason.STAFF, actor=staff) as uow:
        assert {result.broken_since for result in await check.results(uow)} == {None}


async def test_a_product_that_runs_elsewhere_is_checked_from_outside(
    house: House, postgres: EmbeddedPostgres, database_name: str
) -> None:
    """As the browser tests do with theirs, before they stop it."""
    url = postgres.app_url(database_name)
    await asyncio.to_thread(assert_invariants_at, url)

    await house.run("update membership set role = 'admin'")
    with pytest.raises(AssertionError, match="organization_has_owner"):
        await asyncio.to_thread(assert_invariants_at, url, within_s=0)


async def test_a_rule_that_cannot_be_checked_does_not_stop_the_others(
    house: House, written: io.StringIO
) -> None:
    class Impossible(Invariant):
        name = "impossible"
        means = "Nothing."
        query = "select 1 / 0 as impossible"

    await house.run("update membership set role = 'admin'")

    assert await check.check_all(rules=[Impossible, book.EveryOrganizationHasAnOwner]) == 1
    assert "invariant_not_checked" in written.getvalue()


async def test_members_do_not_read_results(house: House) -> None:
    async with unit_of_work(house.world.actor(house.organization)) as uow:
        with pytest.raises(Forbidden):
            await check.results(uow)
