"""Numbers of cards, typed where they do not belong and used where they do: none is kept, logged, traced or told."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.types import Role
from services.core import tracing
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.work import unit_of_work
from services.refunds import refunds
from services.refunds.refunding import Refunding
from services.refunds.refunds import Wanted
from state.portal.keys import KeysState
from tests.api.conftest import PASSWORD, Api, problem
from tests.fakes.collector import Collector
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.test_cashier import kept
from tests.integration.payments.test_disputes import dispute, follow
from tests.integration.payments.till import Till, open_till, pay_on_page
from tests.integration.state.visitor import Visitor
from tests.leftovers import require_none

VISA, GROUPED, AMEX = "4242424242424242", "4242 4242-4242 4242", "378282246310005"
NUMBERS = (VISA, GROUPED, AMEX, "5555555555554444", "4000000000000002")
KEPT_CARDS = ("pm_card_visa", "pm_card_chargeCustomerFail")


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path / "stripe") as fake:
        yield fake


@pytest.fixture
def called(stripe: RunningStripe) -> list[str]:
    return [stripe.place]


async def test_no_card_number_stays_anywhere(
    logged: io.StringIO, api: Api, traced: Collector, stripe: RunningStripe
) -> None:
    """Traces are looked through when the collector goes, and the database when it is dropped: as after every test."""
    shop = await open_shop(api.world)
    async with open_till(shop, stripe) as till:
        invoice = await _money_moves(till)
    told = await _typed_everywhere(api, till, invoice)

    told.append((await api.root().get("/metrics")).text)
    tracing.stop()
    assert {"http POST", "unit_of_work", "KeysState.load"} <= {span.name for span in traced.spans}
    require_none("answers", "\n".join(told))
    assert "KeysState" in logged.getvalue() or "payment" in logged.getvalue()
    require_none("log", logged.getvalue())


async def _money_moves(till: Till) -> str:
    """Paid on the provider's page, declined, paid by a kept card, given back and disputed. Gives an open invoice."""
    waiting = await till.pay(await till.shop.invoice(line("100")))
    pay_on_page(waiting)
    paid = await till.look(waiting)
    good, bad = [await kept(till, card) for card in KEPT_CARDS]
    invoice = await till.shop.invoice(line("100"))
    declined = await till.pay(invoice, method_id=bad)
    disputed = await till.pay(invoice, method_id=good)
    asking = Refunding(till.cashier)
    async with unit_of_work(system(till.shop.customer.id), clock=FixedClock(till.shop.now)) as uow:
        started = await refunds.start(uow, Wanted(paid.id, "refund", "Agreed"), above={"*": 10**9})
    refund = await asking.send(started.id, started.organization_id)
    await follow(till, dispute(till, disputed))
    assert (paid.state, declined.state, disputed.state) == ("succeeded", "failed", "succeeded")
    assert refund.state in ("pending", "succeeded")
    return (await till.shop.invoice(line("100"))).id


async def _typed_everywhere(api: Api, till: Till, invoice: str) -> list[str]:
    """A number in each text that a person may write, and where nobody expects one. Gives what was answered."""
    owner = await api.browser(till.shop.customer, Role.OWNER, "owner@acme.example")
    texts = (
        ("PATCH", "account", {"name": "{}"}),
        ("PATCH", "organization", {"name": "{}"}),
        ("POST", "keys", {"name": "{}"}),
        ("POST", "projects", {"name": "my {} card"}),
        ("POST", "service-accounts", {"name": "{}", "role": "viewer"}),
        ("PUT", "billing-profile", {"name": "Acme", "address": "Street 1\n{}", "country": "DE"}),
        ("POST", f"invoices/{invoice}/contests", {"reason": "I paid with {} already"}),
    )
    answers: list[httpx.Response] = []
    for number in NUMBERS:
        for method, path, body in texts:
            said = {name: text.format(number) for name, text in body.items()}
            answers.append(await owner.request(method, path, json=said))
            problem(answers[-1], 422, "card_number_refused")
    for path in ("keys", "audit", "payments", "invoices"):
        answers.append(await owner.get(path, params={"q": VISA, "cursor": VISA, "actor": AMEX}))
        answers.append(await owner.get(f"{path}/{VISA}"))
    for content in (f'{{"name": {VISA}', f'{{"name": ["{VISA}"]}}', f'"{VISA}"'):
        answers.append(
            await owner.post("keys", content=content, headers={"content-type": "application/json"})
        )
    await owner.post("keys", json={VISA: 1})  # whoever sends it is told which field is unknown
    browser = {"user-agent": f"Browser {VISA}", "x-request-id": VISA, "x-card": AMEX, "referer": f"/{VISA}"}
    stranger = api.client(headers={"x-matrix-csrf": "1", **browser})
    for password in (VISA, PASSWORD):
        said = {"email": "owner@acme.example", "password": password}
        answers.append(await stranger.post("session", json=said))
    session = next(value for name, value in owner.cookies.items() if "session" in name)
    visitor = Visitor(session, at=f"/portal/keys?ended={VISA}")
    await visitor.call(KeysState, "load")
    await visitor.call(KeysState, "narrow", "ended", VISA)
    return [answer.text for answer in answers if answer.request.method != "GET"]
