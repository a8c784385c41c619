"""The page of one's own account: what it shows, page by page, and whose sessions it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from matrix_app import pages
from matrix_app.pages.registry import PAGES, Console
from services.core.crossing import Reason, crossing
from services.core.database import Database
from state.account import ResetState
from state.own_account import SIGN_INS_SHOWN, OwnAccountState, SignInsState
from state.session import SessionState
from tests.integration.state.visitor import Visitor, sent_to, sign_in
from tests.world import World

pages.load_all()


async def test_the_account_is_shown_with_its_sessions_and_history(database: Database, world: World) -> None:
    ana, account = await sign_in(world, None)  # no organisation is needed
    bob, _ = await sign_in(world, None)
    now = datetime.now(UTC)
    async with crossing(Reason.DEMO) as uow:
        for number in range(SIGN_INS_SHOWN + 1):
            await uow.execute(
                "insert into sign_in (id, account_id, at, outcome, address, user_agent)"
                " values (:id, :account_id, :at, 'wrong_password', '192.0.2.1', 'curl/8')",
                id=f"sgn_{number:02}",
                account_id=account.id,
                at=now - timedelta(minutes=number),
            )
    state, _ = await ana.call(OwnAccountState, "load")
    assert (state.status, state.email, state.two_step_at) == ("ready", account.email, "")
    assert [row["current"] for row in state.sessions] == [True]
    assert [row["id"] for row in state.sign_ins] == [f"sgn_{number:02}" for number in range(SIGN_INS_SHOWN)]
    assert state.sign_ins[0]["device"] == "curl"

    for address, shown in (
        ("?sort=at", SIGN_INS_SHOWN + 1),
        ("?outcome=wrong_password", SIGN_INS_SHOWN + 1),
        ("?outcome=signed_in", 0),
    ):
        ana.at = f"/account/sign-ins{address}"
        history, _ = await ana.call(SignInsState, "load")
        assert (history.status, len(history.rows), history.total) == ("ready", shown, shown), address
    bob.at = "/account/sign-ins"
    history, _ = await bob.call(SignInsState, "load")
    assert (history.status, history.rows) == ("ready", [])

    others, _ = await bob.call(OwnAccountState, "load")
    await ana.call(OwnAccountState, "end", others.sessions[0]["id"])
    await ana.call(OwnAccountState, "end", "ses_nonsense")
    state, _ = await bob.call(OwnAccountState, "load")
    assert state.status == "ready"
    await bob.call(OwnAccountState, "end", others.sessions[0]["id"])
    _, answer = await bob.call(OwnAccountState, "load")
    assert "/sign-in" in str(answer)


async def test_pages_of_ones_own_are_there_without_an_organisation(world: World) -> None:
    ana, account = await sign_in(world, None)
    own = [one for one in PAGES.values() if one.console is Console.ACCOUNT]
    assert {"/account", "/account/sign-ins", "/notifications"} <= {one.route for one in own}
    for page in own:
        ana.at = page.route
        for event in page.on_load:
            assert sent_to(await event.fn(await ana.state(event.state))) == "", page.route
    session = await ana.state(SessionState)
    assert (session.without_organization, session.account_email) == (True, account.email)


async def test_a_link_of_any_length_is_only_handed_on(database: Database) -> None:
    visitor = Visitor(at=f"/reset?token={'x' * 5_000}")
    state, _ = await visitor.call(ResetState, "load")
    assert state.token == "x" * 200
