"""What may happen to money between a customer, two providers, their banks, ours, a chain and us.

Each act is a method with plain arguments, so that a history is a list that can be printed and played again. `which`
chooses among what is there, wherever it points.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import httpx

from models.billing import Invoice
from models.money import Money
from models.payments import Payment
from services.billing import invoices, notes
from services.billing.notes import Asked
from services.collection.collecting import Collector
from services.core.errors import MatrixError
from services.disputes.disputing import Disputing
from services.payments import charging, transfers
from services.payments.charging import Wanted
from services.reconciliation import accepting
from services.reconciliation.pulling import Puller
from services.refunds import refunds
from services.refunds.refunding import Refunding
from tests.fakes.anvil.running import CHAIN_ID
from tests.integration.billing.shop import line
from tests.integration.payments.money_bank import Bank
from tests.integration.payments.money_chain import BLOCK_S, Chain
from tests.integration.payments.money_house import (
    BANK,
    CARDS,
    CHAIN,
    PAYPAL,
    STRIPE,
    Died,
    House,
    Nothing,
    pick,
)
from tests.integration.payments.refund_ways import way

Act = tuple[Any, ...]
CURRENCIES = ("EUR", "JPY", "KWD")  # two digits, none, and three, which PayPal does not take
WORK = frozenset(
    {"hears", "looks_after", "collects", "reads_books", "watches"}
)  # what workers do, whoever is away
ALONE = {"*": 10**12}  # staff gives back whatever it likes
PAGE_TIMEOUT_S = 60
PATHS = {
    STRIPE: {
        "asks": "/v1/*", "pays": "/v1/payment_intents", "page": "/v1/checkout/sessions", "gives": "/v1/refunds",
        "reads": "/v1/refunds/*",
    },
    PAYPAL: {
        "asks": "/v[12]/*", "pays": "/v2/checkout/orders", "page": "*/capture", "gives": "*/refund",
        "reads": "/v2/checkout/orders/*",
    },
}  # fmt: skip


class History:
    def __init__(self, house: House, chain: Chain) -> None:
        self.house, self.chain, self.bank = house, chain, Bank(house)
        self.script: list[Act] = []
        self.refused = Counter[str]()
        self.deaths = 0
        self.disputes: list[tuple[str, str]] = []  # by whom, and its name there
        self.payouts: list[str] = []  # of Stripe
        self.paid_out: dict[str, tuple[int, str]] = {}
        self.unheard = False  # an event was lost for good

    async def play(self, *acts: Act) -> None:
        """Do it. What is refused in words, or by a provider, changes nothing; whoever dies is started again."""
        for name, *given in acts:
            self.script.append((name, *given))
            self.house.turn(timedelta(0))  # time has gone on meanwhile
            try:
                await getattr(self, name)(*given)
            except* Died:
                self.deaths += 1
                await self.house.restart()
            except* (MatrixError, Nothing):
                assert name not in WORK, f"{name} is refused nothing"
                self.refused[name] += 1

    # What the customer does

    async def is_billed(self, code: int, minor: int) -> None:
        currency = CURRENCIES[code % len(CURRENCIES)]
        step = 1 if currency != "KWD" else 10  # Stripe's last digit is nothing
        amounts = [Money(one * step, currency).amount for one in (minor, minor // 3 + 1)]
        await self.house.shop.invoice(
            *(line(f"{one:f}", currency=currency) for one in amounts),
            currency=currency,
        )

    async def pays(self, which: int, how: str) -> None:
        """By a kept method, or by going to a provider's page."""
        invoice = pick(await self.invoices(), which)
        account = self.house.accounts[STRIPE if how in CARDS or how == "page" else PAYPAL]
        async with self.house.work() as uow:
            wanted = Wanted(
                invoice.id, account.id, f"p{len(self.script)}", method_id=self.house.methods.get(how)
            )
            payment = await charging.start(uow, wanted)
        await self.house.cashier.send(payment.id, payment.organization_id)

    async def agrees(self, which: int, card: str) -> None:
        """On a page that was opened, perhaps in another tab, perhaps a second time."""
        payment = pick([one for one in await self.payments() if one.action is not None], which)
        assert payment.action is not None
        declined = "no_funds" if card == "visa_chargeDeclined" else "agree"
        told = {"test_card": card} if payment.provider == STRIPE else {"act": declined}
        await asyncio.to_thread(
            partial(
                httpx.post,
                payment.action["url"],
                data=told,
                trust_env=False,
                verify=False,
                timeout=PAGE_TIMEOUT_S,
            )
        )

    async def authenticates(self, which: int, is_it: bool) -> None:
        """At the bank, which asked who they are."""
        asked = [one for one in await self.payments(asked=True) if one.provider == STRIPE]
        self._tell(STRIPE, "authenticate", intent=pick(asked, which).provider_ref, ok=is_it)

    async def comes_back(self, which: int) -> None:
        payment = pick(await self.payments(asked=True), which)
        await self.house.cashier.look(payment.id, payment.organization_id)

    async def leaves(self, which: int) -> None:
        left = [one for one in await self.payments() if one.provider_ref or one.provider == CHAIN]
        payment = pick(left, which)
        await self.house.cashier.cancel(payment.id, payment.organization_id)

    async def asks(self, which: int, asset: str) -> None:
        """Where to send coins for an invoice, and how many."""
        invoice = pick(await self.invoices(), which)
        await self.chain.ask(invoice.id, asset, f"c{len(self.script)}")

    async def sends_coins(self, which: int, percent: int) -> None:
        """To any address that was ever given."""
        self.chain.send(pick(await self.chain.requests(), which), percent)

    async def transfers(self, which: int, percent: int, known: bool) -> None:
        """Part of what is due, all, or more; recorded twice by staff, by the bank's name for it if that is `known`."""
        invoice = pick(await self.invoices(), which)
        minor = max(1, invoice.due_minor * percent // 100)
        self.bank.moves(minor, invoice.currency, ref=f"t{len(self.script)}" if known else "")
        for _ in range(2):
            async with self.house.work() as uow:
                await transfers.record(
                    uow,
                    money=Money(minor, invoice.currency),
                    key=f"t{len(self.script)}",
                    invoice_id=invoice.id if known else None,
                )

    async def pays_at_bank(self, which: int, percent: int, names_it: bool) -> None:
        """As `transfers`, and nobody records it before a statement tells."""
        invoice = pick(await self.invoices(), which)
        minor = max(1, (invoice.due_minor or invoice.total_minor) * percent // 100)
        if names_it:
            self.bank.moves(minor, invoice.currency, f"Thanks for {invoice.number}.", names=invoice.id)
        else:
            self.bank.moves(minor, invoice.currency, "for what you sent")

    # What banks do

    async def bank_tells(self, again: int) -> None:
        await self.bank.tell(again)

    async def charges_back(self, which: int, inquiry: bool) -> None:
        payment = pick(await self.payments(asked=True), which)
        named = "payment_intent" if payment.provider == STRIPE else "order"
        how = {"inquiry": inquiry} if payment.provider == STRIPE else {}
        made = self._tell(payment.provider, "dispute", **{named: payment.provider_ref}, **how)
        self.disputes.append((payment.provider, made["id"]))

    async def decides(self, which: int, what: str) -> None:
        who, reference = pick(self.disputes, which)
        if what == "escalate":
            self._tell(STRIPE, "escalate", dispute=reference)
        else:
            self._tell(who, "close_dispute", dispute=reference, won=what == "won")

    async def warns(self, which: int) -> None:
        payment = pick([one for one in await self.payments(asked=True) if one.provider == STRIPE], which)
        self._tell(STRIPE, "warn", payment_intent=payment.provider_ref)

    async def sends_back(self, which: int) -> None:
        """A refund did not reach its account."""
        found = await self.house.rows(
            "select provider_ref from refund where provider_ref like 're\\_%' order by id"
        )
        self._tell(STRIPE, "fail_refund", refund=pick(found, which).provider_ref)

    async def pays_out(self, who: str, code: int) -> None:
        currency = CURRENCIES[code % len(CURRENCIES)]
        made = self._tell(who, "payout" if who == STRIPE else "withdraw", currency=currency)
        if made.get("id"):
            self.bank.moves(int(made["amount"]), currency, f"PAYOUT {made['id']}")
        if who == STRIPE and made.get("id"):
            self.payouts.append(made["id"])
            self.paid_out[made["id"]] = int(made["amount"]), currency

    async def pays_back(self, which: int) -> None:
        """A payout was sent back by our bank."""
        payout = pick(self.payouts, which)
        self._tell(STRIPE, "fail_payout", payout=payout)
        minor, currency = self.paid_out[payout]
        self.bank.moves(-minor, currency, f"RETURN {payout}")

    # What a chain does

    async def mines(self, blocks: int) -> None:
        self.house.turn(timedelta(seconds=BLOCK_S * blocks))
        self.chain.mine(blocks)

    async def goes_another_way(self, blocks: int, comes_again: bool) -> None:
        """From so many blocks before now; what was in those may come again in the next."""
        self.chain.forget(blocks)
        if comes_again:
            self.chain.send_again()

    async def comes_again(self) -> None:
        self.chain.send_again()

    async def is_another_chain(self, for_now: bool) -> None:
        """The node is of another one, and nothing it says counts."""
        self.chain.anvil.ask("anvil_setChainId", 1 if for_now else CHAIN_ID)

    # What goes wrong

    async def goes_wrong(self, who: str, kind: str, what: str, method: str, times: int) -> None:
        self._tell(who, "fault", kind=kind, path=PATHS[who][what], method=method, times=times)

    async def declines(self, who: str) -> None:
        code = "insufficient_funds" if who == STRIPE else "INSTRUMENT_DECLINED"
        self._tell(who, "declines", codes=[code])

    async def garbles(self, who: str, kind: str, times: int) -> None:
        self._tell(who, "spoil", kind=kind, times=times, seconds=3 * 3_600 if kind == "delay" else 0)
        self.unheard |= kind == "drop"

    async def dies(self, looks: int) -> None:
        """Before the transaction that is so many from now."""
        self.house.clock.dying = looks

    # What we do

    async def gives_back(self, which: int, how: str, percent: int, at_once: int) -> None:
        """A part, all, by line, or as a credit; perhaps several of staff at once."""
        payment = pick(await self.payments(), which)
        lines = await self.house.rows(
            "select id from invoice_line where invoice_id = :id order by id", id=payment.invoice_id
        )
        wanted = way(payment, how, percent, [row.id for row in lines])

        async def one(number: int) -> None:
            async with self.house.work() as uow:
                asked = refunds.Wanted(payment.id, f"r{len(self.script)}.{number}", "Agreed", **wanted)
                refund = await refunds.start(uow, asked, above=ALONE)
            await self.refunding.send(refund.id, refund.organization_id)

        done = await asyncio.gather(*(one(number) for number in range(at_once)), return_exceptions=True)
        for each in done:
            if isinstance(each, BaseException):
                raise each

    async def sends(self) -> None:
        """Staff makes the transfers back that wait."""
        for row in await self.house.rows(
            "select r.id, r.minor, r.currency from refund r join payment p on p.id = r.payment_id"
            " where r.state = 'sending' and p.provider = 'bank' order by r.id"
        ):
            async with self.house.work() as uow:
                await refunds.record_sent(uow, row.id)
            self.bank.moves(-row.minor, row.currency, "back")

    async def credits(self, which: int, percent: int) -> None:
        invoice = pick(await self.invoices(), which)
        minor = (invoice.total_minor - invoice.credited_minor) * percent // 100
        async with self.house.work() as uow:
            await notes.issue(
                uow, invoice.id, key=f"n{len(self.script)}", reason="Agreed", asked=Asked(minor or None)
            )

    async def gives_up(self, which: int, how: str) -> None:
        invoice = pick(await self.invoices(), which)
        async with self.house.work() as uow:
            if how == "void":
                await invoices.void(uow, invoice.id, reason="Agreed")
            else:
                await invoices.mark_uncollectible(uow, invoice.id)

    async def accepts(self, which: int) -> None:
        """Staff books what a case proposes."""
        cases = await self.house.rows(
            "select id, organization_id from payment_case where state = 'open' order by id"
        )
        case = pick(cases, which)
        async with self.house.staff_work(case.organization_id) as uow:
            await accepting.accept(uow, case.id)

    async def hears(self) -> None:
        """Events that are due come, and are followed."""
        await self.house.deliver()
        await self.house.inbox.follow_due()

    async def looks_after(self) -> None:
        """The janitor's round."""
        await self.house.cashier.check_due()
        await self.refunding.check_due()
        await self.disputing.list_all()

    async def collects(self) -> None:
        await Collector(self.house.cashier, 1, clock=self.house.clock).collect_due()

    async def reads_books(self) -> None:
        """As on the next day: the providers' books are read and compared."""
        await self.house.next_pull()
        await Puller(self.house.cashier, clock=self.house.clock).pull_due()

    async def watches(self) -> None:
        await self.chain.watcher.watch_all()

    async def says_rates(self) -> None:
        await self.chain.say_rates()

    async def rates_move(self, percent: int) -> None:
        """To so much of what coins cost at first; what was asked for before keeps its own."""
        self.chain.percent = percent
        await self.chain.say_rates()

    async def meet(self, which: int) -> None:
        """All of it at the same time, as workers, doors and the customer do."""
        together = (
            self.hears(), self.hears(), self.looks_after(), self.looks_after(), self.collects(), self.reads_books(),
            self.watches(), self.watches(), self.comes_back(which), self.pays(which, "card"),
            self.gives_back(which, "part", 40, 2),
        )  # fmt: skip
        done = await asyncio.gather(*together, return_exceptions=True)
        raised = [one for one in done if isinstance(one, BaseException)]
        if raised:
            raise BaseExceptionGroup("met", raised)

    async def turn(self, hours: int) -> None:
        self.house.turn(timedelta(hours=hours))
        self.chain.mine(1)

    # What is there

    @property
    def refunding(self) -> Refunding:
        return Refunding(self.house.cashier, clock=self.house.clock)

    @property
    def disputing(self) -> Disputing:
        return Disputing(self.house.cashier, clock=self.house.clock)

    async def invoices(self) -> list[Invoice]:
        found = await self.house.rows("select * from invoice order by id")
        return [Invoice(**row._mapping) for row in found]

    async def payments(self, *, asked: bool = False) -> list[Payment]:
        """All, or those that a provider was asked for."""
        found = await self.house.rows("select * from payment order by id")
        made = [Payment(**row._mapping) for row in found]
        return [one for one in made if one.provider_ref and one.provider != BANK] if asked else made

    def _tell(self, who: str, act: str, **told: Any) -> dict[str, Any]:
        """Raises Nothing for what the provider does not do now."""
        answer = httpx.post(
            f"{self.house.kits[who].fake.url}/_control/{act}",
            json=told,
            trust_env=False,
            verify=False,
            timeout=PAGE_TIMEOUT_S,
        )
        if answer.status_code != 200:
            raise Nothing
        return answer.json()
