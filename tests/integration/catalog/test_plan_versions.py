"""Products, plans and coupons: who may change them, what stays as it was, and what clients see of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from sqlalchemy.exc import DBAPIError

from models.identity import Organization
from models.money import Money
from models.plans import CouponOffer, Plan, PlanVersion, Product, VersionState
from models.types import OrganizationKind, Role
from services.billing.discounts import require_redeemable
from services.catalog import coupon_queries, coupons, plan_queries, plans
from services.catalog.coupons import CouponFields
from services.catalog.plan_queries import VersionDetail
from services.catalog.plan_rules import ChargeFields, EntitlementFields
from services.catalog.plans import VersionFields
from services.core import listing_sql
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden, Invalid, NotFound, StaleVersion
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.metering.service import ensure_platform_meters
from tests.world import World

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
T = TypeVar("T")

BASE = ChargeFields("base", "Base", "flat", "USD", {"model": "flat", "amount": "20"}, interval="month")
SEATS = ChargeFields(
    "seats", "Seats", "seat", "USD", {"model": "per_unit", "unit_amount": "8.5"}, interval="month",
    quantity_min=Decimal(1), quantity_max=Decimal(500),
)  # fmt: skip
TOKENS = ChargeFields(
    "tokens", "Tokens", "metered", "USD",
    {"model": "graduated", "tiers": [
        {"up_to": "1000000", "unit_amount": "0"}, {"up_to": None, "unit_amount": "0.000002"},
    ]},
    interval="month", meter="prompt_tokens",
)  # fmt: skip
SSO = EntitlementFields("sso", "Single sign-on", "flag", "true")
TEAM = VersionFields(charges=(BASE, SEATS, TOKENS), entitlements=(SSO,), trial_days=14)


@dataclass
class Shop:
    """The operator at work on the catalogue, and a client who looks at it."""

    world: World
    operator: Organization
    client: Organization

    @asynccontextmanager
    async def staff(self, role: Role = Role.OPERATOR, now: datetime = NOW) -> AsyncIterator[UnitOfWork]:
        actor = self.world.actor(self.operator, role)
        async with crossing(Reason.STAFF, actor=actor, clock=FixedClock(now)) as uow:
            yield uow

    async def do(self, verb: Callable[..., Awaitable[T]], *args: Any, **named: Any) -> T:
        async with self.staff() as uow:
            return await verb(uow, *args, **named)

    async def plan(self, slug: str = "team", **more: Any) -> Plan:
        async with self.staff() as uow:
            product = await plans.create_product(uow, slug=f"of-{slug}", name="Platform")
            return await plans.create_plan(uow, product_id=product.id, slug=slug, name=slug.title(), **more)

    async def newest(self, plan: Plan) -> PlanVersion:
        found = await self.do(plan_queries.newest_version, plan.id)
        assert found is not None
        return found

    async def published(self, slug: str = "team", given: VersionFields = TEAM) -> tuple[Plan, PlanVersion]:
        plan = await self.plan(slug)
        draft = await self.newest(plan)
        await self.do(plans.change_draft, draft.id, given)
        return plan, await self.do(plans.publish_version, draft.id)

    async def detail(self, version_id: str) -> VersionDetail:
        return await self.do(plan_queries.version_detail, version_id)

    async def on_sale(self) -> list[tuple[str, int]]:
        async with unit_of_work(self.world.actor(self.client, Role.VIEWER)) as uow:
            return [(one.slug, one.number) for one in await plan_queries.plans_on_sale(uow, limit=100)]


@pytest.fixture
async def shop(world: World) -> Shop:
    async with crossing(Reason.DEMO) as uow:
        await ensure_platform_meters(uow)
    return Shop(world, await world.organization(OrganizationKind.OPERATOR), await world.organization())


async def test_a_plan_is_on_sale_from_its_publication_on_and_a_new_version_takes_its_place(
    shop: Shop,
) -> None:
    plan, first = await shop.published()
    assert await shop.on_sale() == [("team", 1)]

    second = await shop.do(plans.draft_version, plan.id)
    assert (await shop.do(plans.draft_version, plan.id)).id == second.id  # there is one draft of a plan
    assert await shop.on_sale() == [("team", 1)]
    copied, original = await shop.detail(second.id), await shop.detail(first.id)
    assert [replace(one, id="") for one in copied.charges] == [
        replace(one, id="") for one in original.charges
    ]
    assert (copied.entitlements, copied.trial_days) == (original.entitlements, 14)

    dearer = replace(BASE, definition={"model": "flat", "amount": "25"})
    await shop.do(plans.change_draft, second.id, replace(TEAM, charges=(dearer, SEATS, TOKENS)))
    await shop.do(plans.publish_version, second.id)

    assert await shop.on_sale() == [("team", 2)]
    assert (await shop.detail(first.id)).state == VersionState.RETIRED
    assert (await shop.detail(first.id)).charges == original.charges  # what was agreed stays
    await shop.do(plans.retire_version, second.id)
    await shop.do(plans.retire_version, second.id)
    assert await shop.on_sale() == []
    async with shop.staff(Role.SUPPORT) as uow:
        row = await plan_queries.staff_plan(uow, plan.id)
        listed = await listing_sql.select(uow, plan_queries.VERSIONS, ("plan_id", plan.id))
        events = await uow.execute("select type from event where type like 'plan%' order by id")
        assert (row.published, row.draft) == (None, None)
        assert [(one.number, one.state, one.charges) for one in listed] == [
            (2, "retired", 3),
            (1, "retired", 3),
        ]
        assert list(events.scalars()) == [
            "plan.created", "plan_version.drafted", "plan_version.changed", "plan_version.published",
            "plan_version.drafted", "plan_version.changed", "plan_version.retired", "plan_version.published",
            "plan_version.retired",
        ]  # fmt: skip


async def test_a_published_version_cannot_be_changed_not_even_in_the_database(shop: Shop) -> None:
    _, version = await shop.published()

    for verb in (
        lambda: shop.do(plans.change_draft, version.id, TEAM),
        lambda: shop.do(plans.publish_version, version.id),
    ):
        with pytest.raises(Conflict, match="never changed"):
            await verb()
    for statement in (
        "update plan_version set trial_days = 0",
        "update plan_version set state = 'draft', published_at = null",
        "delete from plan_charge",
        "delete from plan_entitlement",
        "insert into plan_entitlement (plan_version_id, key, position, name, kind, value)"
        " select id, 'more', 9, 'More', 'flag', 'true' from plan_version",
    ):
        with pytest.raises(DBAPIError, match="a change is a new version"):
            async with crossing(Reason.STAFF, actor=shop.world.actor(shop.operator, Role.OPERATOR)) as uow:
                await uow.execute(statement)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with crossing(Reason.STAFF, actor=shop.world.actor(shop.operator, Role.OPERATOR)) as uow:
            await uow.execute("update plan_charge set definition = '{}'")


async def test_clients_see_what_was_published_and_can_write_none_of_it(shop: Shop) -> None:
    plan, version = await shop.published()
    await shop.do(plans.draft_version, plan.id)
    hidden = await shop.plan("secret")
    draft = await shop.newest(hidden)
    await shop.do(plans.change_draft, draft.id, TEAM)
    actor = shop.world.actor(shop.client, Role.OWNER)

    async with unit_of_work(actor) as uow:
        assert (await plan_queries.version_by_number(uow, plan.id, 1)).id == version.id
        for number, of in ((2, plan), (1, hidden)):
            with pytest.raises(NotFound):
                await plan_queries.version_by_number(uow, of.id, number)
        seen = {
            table: (await uow.execute(f"select count(*) from {table}")).scalar_one()
            for table in ("product", "plan", "plan_version", "plan_charge", "plan_entitlement")
        }
    assert seen == {"product": 1, "plan": 1, "plan_version": 1, "plan_charge": 3, "plan_entitlement": 1}
    for statement in (
        "insert into product (id, slug, name, description, created_at) values ('x', 'x', 'x', '', now())",
        "update plan_version set state = 'retired', retired_at = now()",
        "delete from plan_charge",
        "update coupon set rate = 1",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with unit_of_work(actor) as uow:
                await uow.execute(statement)


async def test_only_staff_that_may_write_the_catalogue_changes_it(shop: Shop) -> None:
    plan, version = await shop.published()
    acts: Sequence[Callable[[UnitOfWork], Awaitable[Any]]] = (
        lambda uow: plans.create_product(uow, slug="x", name="X"),
        lambda uow: plans.create_plan(uow, product_id=plan.product_id, slug="x", name="X"),
        lambda uow: plans.draft_version(uow, plan.id),
        lambda uow: plans.change_draft(uow, version.id, TEAM),
        lambda uow: plans.publish_version(uow, version.id),
        lambda uow: plans.retire_version(uow, version.id),
        lambda uow: coupons.create_coupon(uow, CouponFields("X", "X", rate=Decimal("0.1"))),
        lambda uow: coupons.archive_coupon(uow, "cpn_x"),
    )
    for act in acts:
        with pytest.raises(Forbidden):
            async with shop.staff(Role.SUPPORT) as uow:
                await act(uow)
        with pytest.raises(Forbidden):
            async with unit_of_work(shop.world.actor(shop.client, Role.OWNER)) as uow:
                await act(uow)
    without = replace(
        shop.world.actor(shop.client, Role.OWNER), capabilities=frozenset({Capability.MODELS_READ})
    )
    with pytest.raises(Forbidden):
        async with unit_of_work(without) as uow:
            await plan_queries.plans_on_sale(uow, limit=1)


async def test_two_who_edit_one_draft_do_not_overwrite_each_other(shop: Shop) -> None:
    draft = await shop.newest(await shop.plan())
    await shop.do(plans.change_draft, draft.id, TEAM, version=1)

    with pytest.raises(StaleVersion):
        await shop.do(plans.change_draft, draft.id, VersionFields(charges=(BASE,)), version=1)
    with pytest.raises(StaleVersion):  # what is published is what was looked at
        await shop.do(plans.publish_version, draft.id, version=1)

    assert len((await shop.detail(draft.id)).charges) == 3
    met = await asyncio.gather(
        *(shop.do(plans.publish_version, draft.id, version=2) for _ in range(4)), return_exceptions=True
    )
    assert [type(one) for one in met].count(PlanVersion) == 1
    assert all(isinstance(one, PlanVersion | StaleVersion) for one in met)


async def test_what_cannot_be_sold_is_told_by_its_place_and_changes_nothing(shop: Shop) -> None:
    plan = await shop.plan()
    draft = await shop.newest(plan)
    for given, field in (
        (replace(TEAM, charges=(BASE, replace(TOKENS, meter="pages"))), "charges.1.meter"),
        (replace(TEAM, charges=(replace(BASE, definition={"model": "flat", "amount": "1e3"}),)),
         "charges.0.definition.amount"),
        (replace(TEAM, trial_days=731), "trial_days"),
        (replace(TEAM, tax_code="Soft Ware"), "tax_code"),
        (replace(TEAM, entitlements=(replace(SSO, name=""),)), "entitlements.0.name"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as refused:
            await shop.do(plans.change_draft, draft.id, given)
        assert refused.value.field == field
    assert ((await shop.newest(plan)).version, (await shop.detail(draft.id)).charges) == (1, ())

    for charges, field in (
        ((), "charges"),
        ((BASE, replace(SEATS, currency="EUR")), "charges.0.currency"),
        ((replace(BASE, currency="HRK"),), "charges.0.currency"),
    ):
        await shop.do(plans.change_draft, draft.id, replace(TEAM, charges=charges))
        with pytest.raises(Invalid) as refused:
            await shop.do(plans.publish_version, draft.id)
        assert refused.value.field == field
    with pytest.raises(Conflict, match="not sold"):
        await shop.do(plans.retire_version, draft.id)
    assert await shop.on_sale() == []


async def test_slugs_are_taken_once_and_an_add_on_names_plans_of_their_own(shop: Shop) -> None:
    plan = await shop.plan("team")
    addon = await shop.plan("support", addon_to=[plan.id])

    assert addon.addon_to == [plan.id]
    for verb, named, error in (
        (plans.create_plan, {"product_id": plan.product_id, "slug": "team", "name": "T"}, Conflict),
        (plans.create_plan, {"product_id": "prod_x", "slug": "t", "name": "T"}, NotFound),
        (
            plans.create_plan,
            {"product_id": plan.product_id, "slug": "t", "name": "T", "addon_to": [addon.id]},
            Invalid,
        ),
        (plans.create_plan, {"product_id": plan.product_id, "slug": "T!", "name": "T"}, Invalid),
        (plans.create_product, {"slug": "of-team", "name": "T"}, Conflict),
        (plans.create_product, {"slug": "x", "name": "\n"}, Invalid),
    ):
        with pytest.raises(error):
            await shop.do(verb, **named)
    async with shop.staff() as uow:
        rows = [await uow.get(Product, plan.product_id), await uow.get(Plan, plan.id)]
        assert [one.name for one in rows if one] == ["Platform", "Team"]


async def test_a_coupon_keeps_its_terms_and_its_code_for_ever(shop: Shop) -> None:
    plan = await shop.plan()
    made = await shop.do(
        coupons.create_coupon,
        CouponFields("Spring-25", "Spring", rate=Decimal("0.25"), duration="periods", periods=3, plans=[plan.id],
                     expires_at=NOW + timedelta(days=30), redemptions_max=2),
    )  # fmt: skip
    fixed = await shop.do(
        coupons.create_coupon,
        CouponFields("TEN", "Ten", amount=Decimal(10), currency="USD", meters=["requests"]),
    )

    async with unit_of_work(shop.world.actor(shop.client, Role.OWNER)) as uow:
        found = await coupon_queries.coupon_by_code(uow, " spring-25 ")
        assert found is not None
        terms = coupon_queries.terms_of(found)
        require_redeemable(terms, currency="USD", now=NOW, redeemed=found.redeemed)
        assert (terms.plans, terms.periods, terms.rate) == (frozenset({plan.id}), 3, Decimal("0.25"))
        await uow.execute("update coupon set redeemed = redeemed + 1 where id = :id", id=found.id)
    assert coupon_queries.terms_of(fixed).amount == Money(1_000, "USD")
    with pytest.raises(DBAPIError, match="never change"):
        async with crossing(Reason.STAFF, actor=shop.world.actor(shop.operator, Role.OPERATOR)) as uow:
            await uow.execute("update coupon set rate = 1 where rate is not null")
    with pytest.raises(Conflict):
        await shop.do(coupons.create_coupon, CouponFields("SPRING-25", "Again", rate=Decimal(1)))

    await shop.do(coupons.archive_coupon, made.id)
    await shop.do(coupons.archive_coupon, made.id)
    async with unit_of_work(shop.world.actor(shop.client, Role.OWNER)) as uow:
        assert await coupon_queries.coupon_by_code(uow, "SPRING-25") is None
    async with shop.staff(Role.SUPPORT) as uow:
        rows = await listing_sql.select(uow, coupon_queries.COUPONS)
        assert {(one.code, one.state, one.redeemed) for one in rows} == {
            ("Spring-25", "archived", 1),
            ("TEN", "active", 0),
        }
        assert [
            one.code for one in await listing_sql.select(uow, coupon_queries.COUPONS, ("state", "archived"))
        ] == ["Spring-25"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"rate": Decimal("0.1"), "amount": Decimal(5), "currency": "USD"}, "amount"),
        ({}, "amount"),
        ({"rate": Decimal("1.01")}, "rate"),
        ({"rate": Decimal("0.123456789012345")}, "rate"),
        ({"amount": Decimal(5)}, "currency"),
        ({"amount": Decimal(5), "currency": "XXQ"}, "currency"),
        ({"amount": Decimal(5), "currency": "HRK"}, "currency"),
        ({"amount": Decimal(0), "currency": "USD"}, "amount"),
        ({"amount": Decimal("5.001"), "currency": "USD"}, "amount"),
        ({"amount": Decimal("1E+40"), "currency": "USD"}, "amount"),
        ({"rate": Decimal(1), "duration": "twice"}, "duration"),
        ({"rate": Decimal(1), "duration": "periods"}, "periods"),
        ({"rate": Decimal(1), "periods": 2}, "periods"),
        ({"rate": Decimal(1), "expires_at": NOW}, "expires_at"),
        ({"rate": Decimal(1), "redemptions_max": 0}, "redemptions_max"),
        ({"rate": Decimal(1), "meters": ["pages"]}, "meters"),
        ({"rate": Decimal(1), "plans": ["plan_x"]}, "plans"),
        ({"rate": Decimal(1), "meters": ["requests"], "plans": ["plan_x"]}, "plans"),
        ({"rate": Decimal(1), "code": "two words"}, "code"),
        ({"rate": Decimal(1), "name": ""}, "name"),
    ],
)
async def test_a_coupon_that_is_unsound_is_refused_at_its_field(
    shop: Shop, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await shop.do(coupons.create_coupon, CouponFields(**{"code": "C", "name": "C", **given}))

    assert refused.value.field == field
    async with shop.staff() as uow:
        assert (await uow.execute("select count(*) from coupon")).scalar_one() == 0
        assert await uow.get(CouponOffer, "cpn_x") is None
