"""Mail about one's own account: a link that sets a password, and what its owner must hear of."""

from __future__ import annotations

import asyncio
import re

import pytest

from services.core import jobs
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.relay import Relay, follow
from services.identity import accounts, own_account, passwords, policies, sessions
from services.identity.clients import Client
from services.identity.events import (
    AuthenticatorDisabled,
    AuthenticatorEnabled,
    RecoveryCodesReplaced,
    RecoveryCodeUsed,
)
from services.notify import queries
from services.notify.account_texts import NOTICES
from services.notify.subscribers import SUBSCRIBERS

PASSWORD, OTHER_PASSWORD = "nine lives and one more", "seven seas and a ship"
HOME = Client("192.0.2.1", user_agent="Mozilla/5.0 (X11; Linux) Firefox/140.0")


async def subjects() -> list[str]:
    return [mail.subject for mail in await queries.mails_for("ana@example.com", mode="demo")]


async def until_mailed(count: int) -> None:
    async with asyncio.timeout(60):
        while len(await subjects()) < count:  # noqa: ASYNC110 - the condition lies in the database
            await asyncio.sleep(0.05)


async def test_the_owner_hears_of_what_happens_to_the_account(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MATRIX_PUBLIC_URL", raising=False)
    async with crossing(Reason.DEMO) as uow:
        account_id = await accounts.add_confirmed(
            uow, email="ana@example.com", name="Ana", password_hash=await passwords.hashed(PASSWORD)
        )
    running = [
        asyncio.create_task(part)
        for part in (Relay(database).run(), follow(SUBSCRIBERS, database), jobs.work(database))
    ]
    for _ in range(2):  # of the first browser nobody is told
        await sessions.sign_in(email="ana@example.com", password=PASSWORD, client=HOME)
    async with crossing(Reason.ACCOUNT, actor=policies.person(account_id)) as uow:
        for event in (AuthenticatorEnabled, AuthenticatorDisabled, RecoveryCodesReplaced, RecoveryCodeUsed):
            uow.record(event(aggregate_id=account_id, organization_id=None))
    await own_account.request_reset(email="ana@example.com", client=HOME)
    await until_mailed(6)
    mails = await queries.mails_for("ana@example.com", mode="demo")
    new_browser = next(mail for mail in mails if mail.subject == "A new browser signed in to your account")
    assert "Firefox, Linux, 192.0.2.1" in new_browser.body
    asked = next(mail for mail in mails if mail.subject == "Set a new password for Matrix")
    link = re.search(r"http://localhost:3000/reset\?token=([\w-]+)\n", asked.body)
    assert link
    await own_account.reset_password(link[1], password=OTHER_PASSWORD, client=HOME)

    await until_mailed(len(NOTICES) + 2)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert len(set(await subjects())) == len(NOTICES) + 2
