"""Cases, payouts and bank statements over HTTP: who may, what is answered, and nothing twice."""

from __future__ import annotations

from models.identity import Organization
from models.ledger import Purpose
from models.money import Money
from models.payment_cases import CaseKind
from models.types import Role
from services.core.crossing import Reason, crossing
from services.ledger.rules import credit, debit
from services.payments import cases
from services.reconciliation import differences
from tests.api.conftest import Api, problem
from tests.integration.billing.shop import line, open_shop

PAGES = ("payment-cases", "payouts", "provider-movements", "clearing", "bank-statements", "bank-lines")


async def test_staff_accepts_and_dismisses_cases_and_others_see_none(
    api: Api, operators: Organization
) -> None:
    shop = await open_shop(api.world)
    async with crossing(Reason.PAYMENTS, on=api.world.database) as uow:
        money = Money(700, "EUR")
        entries = debit(Purpose.CASH, money), credit(Purpose.SUSPENSE, money)
        for subject, proposal in (("one", differences.book("", *entries)), ("two", None)):
            await cases.open_case(
                uow, CaseKind.DIFFERENCE, subject, cause="unknown_charge", organization_id=None, amount=money,
                proposal=proposal,
            )  # fmt: skip
    staff = await api.browser(operators, Role.OPERATOR)
    support = await api.browser(operators, Role.SUPPORT)
    stranger = await api.browser(shop.customer, Role.OWNER)

    for name in PAGES:
        assert (await support.get(f"staff/{name}")).status_code == 200
        assert problem(await stranger.get(f"staff/{name}"), 403, "not_allowed")
    rows = {row["subject"]: row for row in (await staff.get("staff/payment-cases?state=open")).json()["data"]}
    home, other = (f"staff/payment-cases/{rows[name]['id']}" for name in ("one", "two"))
    assert problem(await support.post(f"{home}/accept", json={}), 403, "not_allowed")
    assert problem(await staff.post(f"{home}/accept", json={"version": 9}), 412, "stale_version")
    assert problem(await staff.post(f"{other}/accept", json={}), 409, "payment_case_proposes_nothing")
    assert problem(await staff.post("staff/payment-cases/pcas_x/accept", json={}), 404, "not_found")
    assert problem(await staff.get("staff/payouts/ppo_x"), 404, "not_found")
    booked = [(await staff.post(f"{home}/accept", json={})).json() for _ in range(2)]
    assert booked[0]["state"] == "accepted"
    assert booked[0]["journal_id"] == booked[1]["journal_id"] != ""
    assert problem(await staff.post(f"{home}/dismiss", json={"note": "x"}), 409, "payment_case_closed")
    assert problem(await staff.post(f"{other}/dismiss", json={"note": " "}), 422, "invalid_input")
    closed = await staff.post(f"{other}/dismiss", json={"note": "Known to the bank"})
    assert (closed.json()["state"], closed.json()["note"]) == ("dismissed", "Known to the bank")
    csv = (await staff.get("staff/payment-cases?format=csv")).text
    assert "Known to the bank" in csv


async def test_a_statement_is_previewed_imported_and_matched_once(api: Api, operators: Organization) -> None:
    shop = await open_shop(api.world)
    invoice = await shop.invoice(line("100"))
    staff = await api.browser(operators, Role.OPERATOR)
    home = "staff/bank-statements"
    told = f"Date,Amount,Text\n2026-03-12,119.00,{invoice.number}\n2026-03-13,5.00,x\n"
    by = {"account": "DE02", "currency": "eur", "remittance": "Text"}

    async def send(path: str, text: str = told, key: str = "k1", **more: str):
        file = {"file": ("march.csv", text.encode(), "text/csv")}
        return await staff.post(path, params=by | more, files=file, headers={"Idempotency-Key": key})

    shown = await send(f"{home}/preview", told + "2026-02-30,1.00,y\n")
    assert (shown.status_code, shown.json()["count"]) == (200, 2), shown.text
    assert shown.json()["errors"] == ["Line 4: '2026-02-30' is no day as the others are written."]
    assert shown.json()["columns"]["remittance"] == "Text"
    assert problem(await send(home, amount="No such", key="k0"), 422, "invalid_input")
    imported = await send(home)
    assert imported.status_code == 201, imported.text
    assert [imported.json()[name] for name in ("lines", "new_lines", "matched", "open")] == [2, 2, 1, 1]
    assert (await send(home)).json() == imported.json()
    assert (await send(home, key="k2")).json()["id"] == imported.json()["id"]
    assert problem(await send(home, told + "\n"), 409, "idempotency_key_reused")
    lines = (await staff.get(f"staff/bank-lines?statement_id={imported.json()['id']}")).json()["data"]
    assert sorted(row["match"] for row in lines) == ["differs", "matched"]
    (case,) = (await staff.get("staff/payment-cases?kind=unmatched")).json()["data"]
    assert case["cause"] == "nothing_named"
    assert (await shop.read(invoice)).state == "paid"
