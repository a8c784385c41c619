"""Who bills in the demo, and a first one-off invoice of its first client."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from models.money import Money
from services.billing import entities, finalizing, invoices, profiles, taxation
from services.billing.entities import EntityFields
from services.billing.new_lines import manual_line
from services.billing.profiles import ProfileFields
from services.core.actor import Actor, system
from services.core.work import UnitOfWork
from services.demo.progress import Made, Step
from services.demo.stories import Story
from services.papers import templates
from services.papers.designs import Design, Wording
from services.tax.rules import Rate
from services.terms import service as terms
from services.wallets import wallets

SELLER_DAYS = 371
INVOICED_DAYS = 40  # before today
FILLED_DAYS, GIVEN_DAYS = 21, 90
PAID_AHEAD, GIVEN = 12_000, 1_000  # yen
SELLER = EntityFields(
    code="MX1",
    name="Matrix Demo GmbH",
    address="Beispielweg 7\n10115 Berlin",
    country="DE",
    currency="EUR",
    timezone="Europe/Berlin",
    tax_ids=({"kind": "VAT", "number": "DE000000000"},),
    registrations=("DE",),
    grace_hours=0,  # nobody's usage is late here
)
RATE = Rate("DE", "VAT", Decimal("0.19"), "UStG § 12", "2020-07", date(2021, 1, 1))


LOOK = Design(
    accent="#1f5fa8",
    email="billing@matrix.example",
    registration_number="HRB 000000 B",
    account="DE89 3704 0044 0532 0130 00",
    account_name=SELLER.name,
    wording={
        "en": Wording(("Thank you for your business.",), "Matrix Demo GmbH, Amtsgericht Berlin HRB 000000 B"),
        "de": Wording(
            ("Vielen Dank für Ihren Auftrag.",), "Matrix Demo GmbH, Amtsgericht Berlin HRB 000000 B"
        ),
    },
)


TERMS = """Terms of service of Matrix Demo GmbH

This is a demonstration: nobody is bound by these terms, and no money moves.

1. What you get. Access to models and to what your plan names, for as long as the plan runs.

2. What you pay. The price that was shown before you agreed. Usage is billed as it was metered; each line says how.

3. Ending. You may end a plan at any time, with the end of its period or at once.

4. Your data. It is yours. It leaves with you as files, and is deleted when you ask for it.
"""


async def publish_template(uow: UnitOfWork, entity_id: str) -> None:
    """How the documents of the seller look; a worker makes the files of the first once it runs."""
    draft = await templates.begin(uow, legal_entity_id=entity_id)
    await templates.change(uow, draft.id, LOOK, version=draft.version)
    await templates.publish(uow, draft.id)


def seller(today: datetime) -> Step:
    """Somebody who issues documents, from before the first."""

    async def add(uow: UnitOfWork, _: Made) -> Made:
        row = await entities.add_entity(uow, SELLER)
        await publish_template(uow, row.id)
        await taxation.add_tax_rate(uow, RATE)
        await terms.publish(uow, TERMS)
        return {"seller": row.id}

    return Step("seller", today - timedelta(days=SELLER_DAYS), add)


def steps(story: Story, organization: str, today: datetime) -> list[Step]:
    """`organization` is the name under which the founding left the id of the story's organisation."""

    def by_system(made: Made) -> Actor:
        return system(made[organization])

    async def invoice(uow: UnitOfWork, _: Made) -> Made:
        buyer = ProfileFields(name=story.name, address="Musterstr. 1\n50667 Köln", country="DE")
        await profiles.set_profile(uow, buyer)
        draft = await invoices.create_draft(uow, key="onboarding", currency=story.currency, memo="Onboarding")
        month = (uow.now, uow.now + timedelta(days=30))
        await invoices.add_lines(
            uow,
            draft.id,
            [
                manual_line("Set-up of your workspace", Decimal(1), Decimal(480), story.currency),
                manual_line("Priority support", Decimal(3), Decimal("59.90"), story.currency, period=month),
            ],
        )
        made = await finalizing.finalize(uow, draft.id)
        return {"invoice": made.id}

    return [Step("first invoice", today - timedelta(days=INVOICED_DAYS), invoice, by_system)]


def wallet_steps(story: Story, organization: str, today: datetime) -> list[Step]:
    """Whoever pays in advance has paid something in advance, and was given a little."""

    async def fill(uow: UnitOfWork, _: Made) -> Made:
        paid, given = Money.of(PAID_AHEAD, story.currency), Money.of(GIVEN, story.currency)
        await wallets.top_up(uow, money=paid, payment_key="demo-transfer", note="Bank transfer")
        ends = uow.now + timedelta(days=GIVEN_DAYS)
        await wallets.grant(uow, money=given, key="welcome", expires_at=ends, note="Welcome")
        return {"wallet": "filled"}

    return [
        Step("wallet", today - timedelta(days=FILLED_DAYS), fill, lambda made: system(made[organization]))
    ]
