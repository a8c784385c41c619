"""A case that asks for an answer to the bank, accepted over HTTP: what is recorded and what was added is handed in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.identity import Organization
from models.types import Role
from services.core import settings as settings_module
from services.core.clock import FixedClock
from services.disputes.answering import Answering
from services.disputes.disputing import Disputing
from services.documents.press import Press
from services.files.stores import places
from tests.api.conftest import Api, problem
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.stripe_kit import sdk
from tests.integration.payments.till import open_till, pay_on_page

PDF = b"%PDF-1.7\n1 0 obj <<>> endobj\n%%EOF\n"


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
def environment(environment: pytest.MonkeyPatch, stripe: RunningStripe) -> pytest.MonkeyPatch:
    environment.setenv("MATRIX_ALLOW_PRIVATE_UPSTREAMS", stripe.place)
    settings_module.settings.cache_clear()
    return environment


async def test_accepting_a_case_answers_the_bank_with_all_files_and_closes_it(
    api: Api, operators: Organization, stripe: RunningStripe
) -> None:
    async with open_till(await open_shop(api.world), stripe) as till:
        waiting = await till.pay(await till.shop.invoice(line("100")))
        pay_on_page(waiting)
        payment = await till.look(waiting)
        reference = stripe.act("dispute", payment_intent=payment.provider_ref)["id"]
        staff = await api.browser(operators, Role.OPERATOR)
        given = await staff.post(f"staff/payments/{payment.id}/refunds", json={"reason": "Agreed"})
        assert given.json()["state"] == "failed", given.text
        (case,) = (await staff.get("staff/payment-cases")).json()["data"]
        assert (case["cause"], case["accepting"].startswith("Hands in to the bank")) == (
            "payment_disputed", True,
        )  # fmt: skip
        await Disputing(till.cashier).follow(till.account.id, reference)
        (dispute,) = (await staff.get("staff/disputes")).json()["data"]
        file = {"file": ("receipt.pdf", PDF, "application/pdf")}
        home = f"staff/disputes/{dispute['id']}"
        assert (await staff.post(f"{home}/files?about=receipt", files=file)).status_code == 201
        accept = f"staff/payment-cases/{case['id']}/accept"
        stripe.act("fault", kind="limited", path=f"/v1/disputes/{reference}", method="POST")

        accepted = [await staff.post(accept, json={}) for _ in range(2)]

        # Stripe was busy: the answer is on its way, and handed in again by the worker as it was.
        assert [one.json()["state"] for one in accepted] == ["accepted"] * 2, accepted[0].text
        waits = (await staff.get(home)).json()
        assert (waits["state"], waits["answering_at"] is not None) == ("needs_answer", True)
        assert problem(await staff.post(f"{home}/answer", json={}), 409, "dispute_answer_under_way")
        clock, press = FixedClock(datetime.now(UTC) + timedelta(minutes=6)), Press()
        store = places(settings_module.settings()).store
        assert await Answering(till.cashier, press, store, clock=clock).check_due() == 1
        await press.close()
    answered = (await staff.get(home)).json()
    assert (answered["state"], answered["answering_at"]) == ("under_review", None)
    told: Any = sdk(stripe).v1.disputes.retrieve(reference).to_dict()
    files = {name: told["evidence"][name] for name in ("receipt", "uncategorized_file")}
    assert all(files.values())
    assert sdk(stripe).v1.files.retrieve(files["receipt"]).size == len(PDF)
    assert problem(await staff.post(f"{home}/files?about=refund_policy", files=file), 409, "dispute_state")
    (kept,) = (await staff.get(f"{home}/files")).json()["data"]
    assert problem(await staff.delete(f"{home}/files/{kept['id']}"), 409, "dispute_state")
