"""The account's balance: every movement is a balance transaction, and payouts take what has settled."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.fakes.stripe import currencies
from tests.fakes.stripe.refusals import Refusal
from tests.fakes.stripe.routes import Fields, lists, metadata, page, reads, require, serves
from tests.fakes.stripe.store import Thing
from tests.fakes.stripe.world import DAY_S, World


def move(
    world: World,
    kind: str,
    category: str,
    *,
    amount: int,
    currency: str,
    source: str,
    fee: int = 0,
    after_s: int = 0,
    description: str | None = None,
    charged: str = "",
) -> Thing:
    """A change of the balance by `amount` less `fee`. `charged` is the charge it belongs to, for our own listing."""
    fees: list[dict[str, Any]] = []
    if fee:
        words = "Stripe processing fees" if kind == "charge" else "Dispute fee"
        fees.append(
            world.document.skeleton(
                "fee", amount=fee, currency=currency, description=words, type="stripe_fee"
            )
        )
    moved = world.make(
        "balance_transaction",
        "txn",
        ours={"payout": "", "charge": charged},
        amount=amount,
        available_on=world.now() + after_s,
        balance_type="payments",
        currency=currency,
        description=description,
        fee=fee,
        fee_details=fees,
        net=amount - fee,
        reporting_category=category,
        source=source,
        status="pending" if after_s else "available",
        type=kind,
    )
    if after_s:
        world.plan(moved["available_on"], "settle", moved["id"])
    return moved


def fee_of(world: World, amount: int, code: str) -> int:
    """The processing fee, rounded half up to what the currency has, at most the amount itself."""
    step = 100 if code in currencies.WITH_TWO_ZEROS else 1
    exact = amount * world.terms.fee_basis_points + world.terms.fee_fixed * 10_000
    return min(amount, (exact + 5_000 * step) // (10_000 * step) * step)


def settle(world: World, moved: Thing) -> None:
    moved["status"] = "available"
    world.store.put(moved)


lists("payout", "/v1/payouts", "status")
reads("payout", "/v1/payouts/{payout}")
reads("balance_transaction", "/v1/balance_transactions/{id}")


@serves("GET", "/v1/balance_transactions")
def transactions(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    payout = fields.get("payout")
    if payout is not None:
        paid = world.get("payout", payout, param="payout")
        require(
            paid["automatic"],
            "Balance transaction history can only be filtered on automatic transfers, not manual.",
        )
    wanted = {name: fields[name] for name in ("type", "source") if name in fields}
    currency = fields.get("currency", "").lower()

    def fits(one: Thing) -> bool:
        return (
            (payout is None or one["_payout"] == payout or one["source"] == payout)
            and all(one[name] == value for name, value in wanted.items())
            and currency in ("", one["currency"])
        )

    return page(world, "balance_transaction", fields, "/v1/balance_transactions", fits)


@serves("GET", "/v1/balance")
def balance(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    sums = {"available": Counter[str](), "pending": Counter[str]()}
    for one in world.store.of("balance_transaction"):
        sums[one["status"]][one["currency"]] += one["net"]
        sums["pending" if one["status"] == "available" else "available"][one["currency"]] += 0
    parts = {
        state: [
            {"amount": amount, "currency": code, "source_types": {"card": amount}}
            for code, amount in sorted(totals.items())
        ]
        for state, totals in sums.items()
    }
    return world.document.skeleton("balance", livemode=False, **parts)


@serves("POST", "/v1/payouts")
def create(world: World, fields: Fields, names: dict[str, str]) -> Thing:
    """A manual one, of an amount somebody chose: its parts are not known."""
    code = currencies.checked(fields["amount"], fields["currency"], least=False)
    available = _available(world, code)
    if fields["amount"] > available:
        raise Refusal(
            "You have insufficient funds in your Stripe account for this transfer.",
            code="balance_insufficient",
        )
    return _made(world, fields["amount"], code, automatic=False, told=metadata(fields))


def _available(world: World, code: str) -> int:
    found = (one for one in world.store.of("balance_transaction") if one["currency"] == code)
    return sum(one["net"] for one in found if one["status"] == "available")


def pay_out(world: World, code: str) -> Thing | None:
    """An automatic payout of all that has settled and went into none; None when that is not above zero."""
    parts = [
        one
        for one in world.store.of("balance_transaction")
        if one["currency"] == code and one["status"] == "available" and not one["_payout"]
    ]
    total = sum(one["net"] for one in parts)
    if total <= 0:
        return None
    payout = _made(world, total, code, automatic=True, told={})
    for one in parts:
        one["_payout"] = payout["id"]
        world.store.put(one)
    payout["reconciliation_status"] = "completed"
    world.emit("payout.reconciliation_completed", payout)
    return payout


def _made(world: World, amount: int, code: str, *, automatic: bool, told: dict[str, str]) -> Thing:
    payout = world.make(
        "payout",
        "po",
        amount=amount,
        arrival_date=world.now() + world.terms.payout_arrives_s,
        automatic=automatic,
        currency=code,
        description="STRIPE PAYOUT" if automatic else None,
        destination="ba_fake",
        metadata=told,
        method="standard",
        reconciliation_status="in_progress" if automatic else "not_applicable",
        source_type="card",
        status="in_transit",
        type="bank_account",
    )
    moved = move(
        world,
        "payout",
        "payout",
        amount=-amount,
        currency=code,
        source=payout["id"],
        description="STRIPE PAYOUT",
    )
    # An automatic payout has taken its parts, and itself must go into no other; a manual one took nothing, and so
    # lessens the next.
    moved["_payout"] = payout["id"] if automatic else ""
    payout["balance_transaction"] = moved["id"]
    world.store.put(moved)
    world.plan(payout["arrival_date"], "payout arrives", payout["id"])
    world.emit("payout.created", payout)
    return payout


def arrive(world: World, payout: Thing) -> None:
    if payout["status"] == "in_transit":
        payout["status"] = "paid"
        world.emit("payout.paid", payout, status="in_transit")


def fail(world: World, payout: Thing, code: str = "account_closed") -> None:
    """The bank sent it back: the money is in the balance again, and in the next payout."""
    require(payout["status"] in ("in_transit", "paid"), "This payout has failed before.")
    moved = move(
        world, "payout_failure", "payout_reversal", amount=payout["amount"], currency=payout["currency"],
        source=payout["id"], description="STRIPE PAYOUT FAILURE",
    )  # fmt: skip
    payout |= {
        "status": "failed",
        "failure_balance_transaction": moved["id"],
        "failure_code": code,
        "failure_message": "The bank account has been closed.",
    }
    world.emit("payout.failed", payout)


def at_midnight(world: World, settings: Thing) -> None:
    if settings["daily_payouts"]:
        for code in sorted({one["currency"] for one in world.store.of("balance_transaction")}):
            pay_out(world, code)
        world.plan(world.now() // DAY_S * DAY_S + DAY_S, "midnight", settings["id"])
