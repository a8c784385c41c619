"""The fake Stripe is driven by the official SDK alone, and by plain requests where the SDK is too polite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.payments.stripe_kit import TIMEOUT_S, Sent, inbox, sdk

DAY_S = 86_400
HOME = "http://shop.test/back"
LONG = "k" * 41


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    folder: Path = tmp_path_factory.mktemp("stripe")
    with running_stripe(folder) as running:
        yield running


@pytest.fixture(scope="module")
def api(fake: RunningStripe) -> Any:
    return sdk(fake).v1


def pay(api: Any, card: str = "visa", *, key: str = "", **more: Any) -> Any:
    told = {
        "amount": 2000,
        "currency": "usd",
        "payment_method": f"pm_card_{card}",
        "confirm": True,
        "return_url": HOME,
    }
    return api.payment_intents.create({**told, **more}, {"idempotency_key": key} if key else None)


def balance(api: Any, currency: str) -> dict[str, int]:
    told = api.balance.retrieve()
    return {
        state: sum(one.amount for one in getattr(told, state) if one.currency == currency)
        for state in ("available", "pending")
    }


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("visa_chargeDeclined", "card_declined", "generic_decline"),
        ("visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("visa_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"),
        ("chargeDeclinedExpiredCard", "expired_card", None),
        ("chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("chargeDeclinedProcessingError", "processing_error", None),
        ("radarBlock", "card_declined", "fraudulent"),
    ],
)
def test_test_cards_decline_as_they_are_said_to(
    api: Any, card: str, code: str, decline_code: str | None
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay(api, card)

    error: Any = caught.value.error
    assert (caught.value.http_status, error.code, error.decline_code) == (402, code, decline_code)
    intent = api.payment_intents.retrieve(error.payment_intent.id, {"expand": ["latest_charge"]})
    assert (intent.status, intent.amount_received) == ("requires_payment_method", 0)
    assert (intent.latest_charge.status, intent.last_payment_error.code) == ("failed", code)


@pytest.mark.parametrize(
    ("method", "path", "form", "status", "code", "param"),
    [
        ("POST", "payment_intents", "currency=usd", 400, "parameter_missing", "amount"),
        ("POST", "payment_intents", "amount=2000&currency=usd&foo[bar]=1", 400, "parameter_unknown", "foo"),
        (
            "POST", "payment_intents", "amount=2000&currency=usd&automatic_payment_methods[enabled]=true"
            "&automatic_payment_methods[no]=1", 400, "parameter_unknown", "automatic_payment_methods[no]",
        ),
        ("POST", "payment_intents", "amount=1e3&currency=usd", 400, "parameter_invalid_integer", "amount"),
        ("POST", "payment_intents", "amount=-5&currency=usd", 400, "parameter_invalid_integer", "amount"),
        ("POST", "payment_intents", "amount=49&currency=usd", 400, "amount_too_small", "amount"),
        ("POST", "payment_intents", "amount=100000000&currency=usd", 400, "amount_too_large", "amount"),
        ("POST", "payment_intents", "amount=2005&currency=kwd", 400, None, "amount"),
        ("POST", "payment_intents", "amount=2050&currency=isk", 400, None, "amount"),
        ("POST", "payment_intents", "amount=2000&currency=xxx", 400, None, "currency"),
        ("POST", "payment_intents", "amount=2000&currency=usd&capture_method=never", 400, None, "capture_method"),
        ("POST", "payment_intents", "amount=2000&currency=usd&confirm=maybe", 400, None, "confirm"),
        (
            "POST", "payment_intents", "amount=2000&currency=usd&description=", 400,
            "parameter_invalid_empty", "description",
        ),
        ("POST", "payment_intents", "amount=2000&currency=usd&customer=cus_no", 400, "resource_missing", "customer"),
        ("POST", "payment_intents", "amount=2000&currency=usd&off_session=true", 400, None, "off_session"),
        ("POST", "payment_intents", f"amount=2000&currency=usd&metadata[{LONG}]=v", 400, None, f"metadata[{LONG}]"),
        (
            "POST", "payment_intents", "amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa", 400,
            None, None,
        ),
        ("POST", "payment_intents", b"\xff\xfe", 400, None, None),
        ("GET", "payment_intents/pi_no", "", 404, "resource_missing", "intent"),
        ("GET", "nothing", "", 404, None, None),
        ("DELETE", "payment_intents/pi_no", "", 404, None, None),
        ("GET", "charges?limit=101", "", 400, "parameter_invalid_integer", "limit"),
        ("GET", "charges?starting_after=ch_no", "", 400, "resource_missing", "starting_after"),
        ("POST", "customers", "expand[]=email", 400, None, "expand"),
    ],
)  # fmt: skip
def test_what_stripe_would_not_take_is_refused_in_its_words(
    fake: RunningStripe,
    method: str,
    path: str,
    form: str | bytes,
    status: int,
    code: str | None,
    param: str | None,
) -> None:
    answer = httpx.request(
        method, f"{fake.url}/v1/{path}", content=form, trust_env=False, timeout=TIMEOUT_S,
        headers={"Authorization": f"Bearer {fake.key}", "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip

    error = answer.json()["error"]
    assert (answer.status_code, error.get("code"), error.get("param")) == (status, code, param)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


def test_only_the_right_key_and_the_pinned_version_are_let_in(fake: RunningStripe) -> None:
    for key in ("sk_test_other", "pk_test_matrix"):
        with pytest.raises(stripe.AuthenticationError):
            sdk(fake, key=key).v1.balance.retrieve()
    assert httpx.get(f"{fake.url}/v1/balance", trust_env=False, timeout=TIMEOUT_S).status_code == 401
    with pytest.raises(stripe.InvalidRequestError):
        stripe.StripeClient(
            fake.key, base_addresses={"api": fake.url}, stripe_version="2020-08-27"
        ).v1.balance.retrieve()


def test_a_key_does_one_thing_once(fake: RunningStripe, api: Any) -> None:
    first, again = pay(api, key="once"), pay(api, key="once")
    assert again.id == first.id
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        pay(api, key="once", amount=2001)
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            pay(api, "visa_chargeDeclined", key="declined")

    fake.act("fault", kind="hold", path="/v1/payment_intents", method="POST")
    with ThreadPoolExecutor(1) as other:
        under_way = other.submit(pay, sdk(fake).v1, key="slow")
        while fake.state()["held"] == 0:
            assert not under_way.done()
        with pytest.raises(stripe.APIError) as caught:
            pay(api, key="slow")
        assert caught.value.http_status == 409
        fake.act("release")
        assert under_way.result().id == pay(api, key="slow").id


@pytest.mark.parametrize(
    "kind", ["close_before", "close_after", "error_before", "error_after", "limited", "locked"]
)
def test_a_switch_spoils_one_request(fake: RunningStripe, api: Any, kind: str) -> None:
    fake.act("fault", kind=kind, path="/v1/payment_intents", method="POST")
    with pytest.raises(stripe.StripeError):
        pay(api, key=f"spoilt {kind}", metadata={"spoilt": kind})

    assert pay(api, key=f"spoilt {kind}", metadata={"spoilt": kind}).status == "succeeded"
    made = [
        one
        for one in api.payment_intents.list({"limit": 5}).data
        if one.metadata.to_dict().get("spoilt") == kind
    ]
    assert len(made) == 1


async def test_webhooks_are_signed_and_come_until_they_are_taken(fake: RunningStripe, api: Any) -> None:
    async def act(call: Callable[..., Any], *args: Any, **told: Any) -> Any:
        return await asyncio.to_thread(call, *args, **told)

    def ids(sent: list[Sent]) -> list[str]:
        return [
            stripe.Webhook.construct_event(one.raw, one.headers["Stripe-Signature"], secret).id
            for one in sent
        ]

    async with inbox() as box:
        endpoint = await act(
            api.webhook_endpoints.create, {"url": box.url, "enabled_events": ["customer.created"]}
        )
        secret = endpoint.secret
        assert not hasattr(await act(api.webhook_endpoints.retrieve, endpoint.id), "secret")
        await act(fake.act, "pause", paused=True)

        async def made() -> str:
            await act(api.customers.create, {"name": "Ada"})
            return (await act(api.events.list, {"type": "customer.created", "limit": 1})).data[0].id

        await act(fake.act, "spoil", kind="reorder", times=2)
        one, two = await made(), await made()
        await act(fake.act, "spoil", kind="duplicate")
        twice = await made()
        await act(fake.act, "spoil", kind="drop")
        await made()
        assert await act(fake.act, "deliver") == {"taken": 4, "refused": 0}
        assert ids(box.taken) == [two, one, twice, twice]
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(box.taken[0].raw, box.taken[1].headers["Stripe-Signature"], secret)

        box.refusing = 1
        late = await made()
        assert await act(fake.act, "deliver") == {"taken": 0, "refused": 1}
        assert (await act(api.events.retrieve, late)).pending_webhooks == 1
        assert await act(fake.act, "deliver") == {"taken": 0, "refused": 0}  # it waits for its time
        await act(fake.act, "advance", seconds=300)
        assert await act(fake.act, "deliver") == {"taken": 1, "refused": 0}
        assert ids(box.taken)[-1] == late
        assert (await act(api.events.retrieve, late)).pending_webhooks == 0
        await act(api.webhook_endpoints.delete, endpoint.id)
        await act(fake.act, "pause", paused=False)


def test_lists_are_paged_and_answers_expanded(api: Any) -> None:
    customer = api.customers.create({"name": "Ada"}).id
    made = [pay(api, customer=customer).id for _ in range(5)]

    pages = api.payment_intents.list({"customer": customer, "limit": 2})
    assert [one.id for one in pages.data] == made[:2:-1]
    assert pages.has_more
    assert [one.id for one in pages.auto_paging_iter()] == made[::-1]
    before = api.payment_intents.list({"customer": customer, "limit": 2, "ending_before": made[1]})
    assert [one.id for one in before.data] == made[3:1:-1]
    found = api.payment_intents.retrieve(
        made[0], {"expand": ["latest_charge.balance_transaction", "customer"]}
    )
    assert (found.customer.id, found.latest_charge.balance_transaction.net) == (customer, 2000 - 88)


def test_money_that_moves_adds_up_to_the_balance(fake: RunningStripe, api: Any) -> None:
    """Ninety Swedish kronor a payment, and everything that can happen to one."""

    def paid(card: str, **more: Any) -> str:
        return pay(api, card, amount=9000, currency="sek", **more).id

    def moved() -> int:
        found = api.balance_transactions.list({"currency": "sek", "limit": 100})
        assert sum(balance(api, "sek").values()) == sum(one.net for one in found.auto_paging_iter())
        return sum(one.net for one in found.data)

    net = 9000 - (261 + 30)
    kept, failing, slow = paid("visa"), paid("refundFail"), paid("pendingRefund")
    assert balance(api, "sek") == {"available": 0, "pending": 3 * net}
    refunds = {
        one: api.refunds.create({"payment_intent": one, "amount": 1000}) for one in (kept, failing, slow)
    }
    assert [refunds[one].status for one in (kept, failing, slow)] == ["succeeded", "succeeded", "pending"]
    assert moved() == 3 * net - 3000

    fake.act("advance", days=3)
    assert api.refunds.retrieve(refunds[slow].id).status == "succeeded"
    back = api.refunds.retrieve(refunds[failing].id)
    assert (back.status, back.failure_reason) == ("failed", "expired_or_canceled_card")
    assert moved() == 3 * net - 2000
    assert balance(api, "sek")["pending"] == 0

    warned = pay(api, "createIssuerFraudRecord", amount=9000, currency="sek")
    assert api.radar.early_fraud_warnings.list({"payment_intent": warned.id}).data[0].actionable
    inquired, disputed = paid("createDisputeInquiry"), paid("createDispute")
    inquiry = api.disputes.list({"payment_intent": inquired}).data[0]
    assert (inquiry.status, inquiry.balance_transactions) == ("warning_needs_response", [])
    api.refunds.create({"payment_intent": inquired})  # an inquiry may be ended so
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.refunds.create({"payment_intent": disputed})
    assert caught.value.code == "charge_disputed"
    lost = api.disputes.list({"payment_intent": disputed}).data[0]
    won = fake.act("dispute", payment_intent=kept)
    answered = api.disputes.update(won["id"], {"evidence": {"uncategorized_text": "winning_evidence"}})
    assert (answered.status, [one.net for one in answered.balance_transactions]) == ("won", [-9500, 8000])
    fake.act("advance", days=8)  # and the other one was never answered
    assert api.disputes.retrieve(lost.id).status == "lost"
    before = moved()
    assert before == 6 * net - 2000 - 9000 - 10_500 - 1500

    held = pay(api, amount=9000, currency="sek", capture_method="manual")
    payout = fake.act("payout", currency="sek")
    assert payout["amount"] == before
    parts = api.balance_transactions.list({"payout": payout["id"], "limit": 100}).data
    assert sum(one.net for one in parts) == 0  # its parts, and itself
    assert moved() == 0
    fake.act("fail_payout", payout=payout["id"])
    assert (moved(), api.payouts.retrieve(payout["id"]).status) == (before, "failed")
    assert fake.act("payout", currency="sek")["amount"] == before
    fake.act("advance", days=8)
    expired = api.payment_intents.retrieve(held.id)
    assert (expired.status, expired.cancellation_reason, moved()) == ("canceled", "automatic", 0)


def test_it_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    with running_stripe(tmp_path) as fake:
        api: Any = sdk(fake).v1
        fake.act("advance", days=40)
        first = pay(api, key="first")
        held = pay(api, capture_method="manual")
        fake.act("fault", kind="close_after", path="/v1/payment_intents")
        with suppress(stripe.APIConnectionError):
            pay(api, key="lost")
        listed = [one.id for one in api.payment_intents.list().data]
        now = fake.state()["now"]

        fake.kill()
        fake.start()

        assert 0 <= fake.state()["now"] - now < DAY_S
        assert [one.id for one in api.payment_intents.list().data] == listed
        assert [pay(api, key="first").id, pay(api, key="lost").id] == [first.id, listed[0]]
        assert api.payment_intents.capture(held.id, {"amount_to_capture": 500}).amount_received == 500
        fake.act("advance", days=2)
        assert balance(api, "usd") == {"available": 1912 * 2 + 455, "pending": 0}


def test_the_card_page_tells_what_went_wrong_and_goes_on(fake: RunningStripe, api: Any) -> None:
    price = {"currency": "usd", "unit_amount": 1000, "product_data": {"name": "Invoice <7>"}}
    session = api.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price_data": price, "quantity": 2}],
            "success_url": HOME + "?{CHECKOUT_SESSION_ID}",
        }
    )
    with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as browser:
        page = browser.get(session.url).text
        assert "Test provider" in page
        assert "Pay 20.00 USD" in page
        assert "color-scheme: light dark" in page
        for name in ("number", "expiry", "cvc", "test_card"):
            assert f'for="{name}"' in page
        for told, words in (
            ({"number": "4242 4242 4242 4241", "expiry": "12/34"}, "card number is incorrect"),
            ({"number": "4242 4242 4242 4242", "expiry": "12/20"}, "expiration year is invalid"),
            ({"number": "4242 4242 4242 4242", "expiry": "soon"}, "12/34"),
            ({"test_card": "visa_chargeDeclined"}, "Your card was declined."),
        ):
            refused = browser.post(session.url, data=told)
            assert refused.status_code == 402
            assert 'role="alert"' in refused.text
            assert words in refused.text
        asked = browser.post(
            session.url, data={"number": "4000002760003184", "expiry": "12/34", "cvc": "123"}
        )
        bank = asked.headers["location"]
        assert "Complete authentication" in browser.get(bank).text
        assert browser.get(bank.replace("secret=", "secret=x")).status_code == 404
        back = browser.post(bank, data={"ok": "true"})
        done = browser.get(back.headers["location"])
        assert done.headers["location"] == f"{HOME}?{session.id}"
        assert "Test payments" in browser.get(f"{fake.url}/_control").text
    paid = api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (paid.payment_status, paid.payment_intent.amount_received) == ("paid", 2000)
