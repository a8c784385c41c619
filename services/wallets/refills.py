"""Top-ups that a wallet's rule asks for: below a threshold, up to a ceiling in each calendar month.

Nothing is charged here. What is asked for is a row that is due, and an event: whoever takes payments answers both, by
`top_up` with its id, or by a payment for it.
"""

from __future__ import annotations

from models.money import Money
from models.wallets import TopUpState
from services.core.errors import Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.queries import changed_meanwhile
from services.wallets import policies, rules
from services.wallets.events import WalletRuleSet, WalletTopUpDue
from services.wallets.policies import Open
from services.wallets.rules import TopUpRule


async def set_rule(
    uow: UnitOfWork, currency: str, rule: TopUpRule | None, *, version: int | None = None
) -> int:
    """Have top-ups asked for when the balance falls below a threshold, or no more. Returns the new version.

    A top-up that is due is withdrawn; by the new rule another may be asked for at once. Raises Forbidden, StaleVersion
    and Invalid.
    """
    uow.actor.require(Capability.WALLET_WRITE)
    wallet = await policies.opened(uow, uow.organization_id, currency)
    if rule is not None:
        _require_rule(rule, currency)
    if version is not None and version != wallet.version:
        raise await changed_meanwhile(uow, wallet.id, WalletRuleSet.type, what="rule")
    if rule == wallet.rule:
        return wallet.version
    await uow.execute(
        "update wallet set threshold_minor = :threshold, refill_minor = :refill, ceiling_minor = :ceiling,"
        " version = version + 1 where id = :id",
        id=wallet.id,
        threshold=rule.threshold if rule else None,
        refill=rule.refill if rule else None,
        ceiling=rule.ceiling if rule else None,
    )
    await uow.execute(
        "update wallet_top_up set state = :withdrawn where wallet_id = :id and state = 'due'",
        id=wallet.id,
        withdrawn=TopUpState.WITHDRAWN.value,
    )
    uow.record(
        WalletRuleSet(
            aggregate_id=wallet.id,
            organization_id=wallet.organization_id,
            currency=currency,
            threshold_minor=rule.threshold if rule else None,
        )
    )
    await ask_for_top_up(uow, wallet.organization_id, wallet.currency)
    return wallet.version + 1


def _require_rule(rule: TopUpRule, currency: str) -> None:
    for field, minor, least in (
        ("threshold", rule.threshold, 0),
        ("refill", rule.refill, 1),
        ("ceiling", rule.ceiling, 1),
    ):
        if not least <= minor <= rules.LOT_MINOR_MAX:
            said = Money(minor, currency).said()
            raise Invalid(f"{said} is no {field} of a top-up rule.", field=field)
    if rule.ceiling < rule.refill:
        raise Invalid("The ceiling of a month is below one refill.", field="ceiling")


async def ask_for_top_up(uow: UnitOfWork, organization_id: str, currency: str) -> None:
    """Have a top-up due where the wallet's rule says so. It is for whoever takes payments to answer it."""
    wallet = await policies.wallet_of(uow, organization_id, currency)
    if wallet is None or wallet.rule is None or wallet.left_minor >= wallet.rule.threshold:
        return
    month = rules.month_of(wallet.now, wallet.timezone)
    asked = await uow.execute(
        "select coalesce(sum(minor), 0) as minor, count(*) filter (where state = 'due') as due from wallet_top_up"
        " where wallet_id = :id and (month = :month or state = 'due') and state <> 'withdrawn'",
        id=wallet.id,
        month=month,
    )
    so_far = asked.one()
    if so_far.due or not rules.top_up_due(wallet.rule, left=wallet.left_minor, this_month=int(so_far.minor)):
        return
    top_up_id = new_id("wtop")
    await uow.execute(
        "insert into wallet_top_up (id, organization_id, wallet_id, minor, state, month, created_at)"
        " values (:id, :organization_id, :wallet_id, :minor, 'due', :month, :now)",
        id=top_up_id,
        organization_id=wallet.organization_id,
        wallet_id=wallet.id,
        minor=wallet.rule.refill,
        month=month,
        now=wallet.now,
    )
    uow.record(
        WalletTopUpDue(
            aggregate_id=wallet.id,
            organization_id=wallet.organization_id,
            currency=wallet.currency,
            top_up_id=top_up_id,
            minor=wallet.rule.refill,
            left_minor=wallet.left_minor,
        )
    )


async def answer(uow: UnitOfWork, wallet: Open, top_up_id: str, lot_id: str) -> bool:
    """What was due has come, as this lot. False, and nothing done, for what is not due in this wallet."""
    done = await uow.execute(
        "update wallet_top_up set state = 'paid', lot_id = :lot_id"
        " where id = :id and wallet_id = :wallet_id and state = 'due'",
        id=top_up_id,
        wallet_id=wallet.id,
        lot_id=lot_id,
    )
    return bool(done.rowcount)
