"""Accounts of the demo with test providers, which run beside it and take play money: made once, and connected again
when a provider or this installation has moved to another port.

A file beside a provider's state says how the two are connected; it is written when they are.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from models.payments import ProviderAccount
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import NotFound
from services.core.logs import get_logger
from services.core.outgoing import inside_session
from services.core.refusal import Refused
from services.core.settings import Settings
from services.core.work import UnitOfWork
from services.demo import test_chain
from services.demo.test_provider_names import FOLDER, KEYS, NAMES
from services.payments import accounts, policies
from services.payments.accounts import AccountFields

log = get_logger(__name__)

CONNECTED = "connected.json"
READY_TIMEOUT_S = 120.0
ANSWER_TIMEOUT = ClientTimeout(total=30)
_LATER = "not yet connected"  # in the place of what the provider tells once it knows where its events go
_PAYPAL_CERTIFICATE = "messageverificationcerts.paypal.test"
_PAYPAL_EVENTS = (
    "PAYMENT.CAPTURE.COMPLETED",
    "PAYMENT.CAPTURE.DENIED",
    "PAYMENT.CAPTURE.REFUNDED",
    "PAYMENT.CAPTURE.REVERSED",
    "CHECKOUT.ORDER.APPROVED",
    "VAULT.PAYMENT-TOKEN.CREATED",
    "VAULT.PAYMENT-TOKEN.DELETED",
    "CUSTOMER.DISPUTE.CREATED",
    "CUSTOMER.DISPUTE.UPDATED",
    "CUSTOMER.DISPUTE.RESOLVED",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider says of itself: settings and secrets of the account."""

    settings: dict[str, str]
    secrets: dict[str, str]


async def connect(on: Database, settings: Settings, providers: Mapping[str, str]) -> None:
    """Have an account with each of `providers`, addresses by name, whose events come here. Raises Refused for one
    that does not answer."""
    own = f"http://127.0.0.1:{settings.port}"
    for name, base in sorted(providers.items()):
        await _connect(on, settings.data_dir / FOLDER / name / CONNECTED, name, base, own)


async def _connect(on: Database, note: Path, name: str, base: str, own: str) -> None:
    known = _read(note)
    async with inside_session() as http:
        state = await _state_of(http, name, base)
        first = test_chain.fields(NAMES[name], base, state) if name == "crypto" else _first_words(name, base)
        account = await _account(on, first, known.get("account", ""))
        now = {"account": account.id, "base": base, "own": own}
        if name == "crypto":  # whose prices have to be said again from time to time
            await test_chain.connect(on, account, first, allowed=[_place(base)])
        elif known != now:
            told = await _told(http, name, base, f"{own}/api/v1/provider-accounts/{account.id}/events")
            async with crossing(Reason.DEMO, actor=system(), on=on) as uow:
                await _change(uow, account.id, told, base)
    if known != now:
        _write(note, now)
        log.info("test_provider_connected", provider=name, base=base)


async def _state_of(http: ClientSession, name: str, base: str) -> dict[str, Any]:
    """What it tells of itself as soon as it answers."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            async with http.get(f"{base}/_control/state", timeout=ANSWER_TIMEOUT) as answer:
                return json.loads(await answer.read())
        except (ClientError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise Refused(f"The test provider {NAMES[name]} does not answer at {base}.") from error
            await asyncio.sleep(0.1)


async def _account(on: Database, first: AccountFields, account_id: str) -> ProviderAccount:
    """The one that is known, else the one that is called so, else a new one that takes no event yet."""
    async with crossing(Reason.DEMO, actor=system(), on=on) as uow:
        try:
            return await policies.any_account(uow, account_id)
        except NotFound:
            pass
        found = await uow.execute("select id from provider_account where name = :name", name=first.name)
        if (there := found.scalar_one_or_none()) is not None:
            return await policies.any_account(uow, there)
        return await accounts.add_account(uow, first, allowed=[_place(first.settings["base"])])


def _first_words(name: str, base: str) -> AccountFields:
    client, _, secret = KEYS[name].partition(":")
    if name == "paypal":
        settings, secrets = {"client": client, "webhook_id": _LATER}, {"secret": secret}
    else:
        settings, secrets = {}, {"secret_key": KEYS[name], "webhook_secret": _LATER.replace(" ", "_")}
    return AccountFields(name, NAMES[name], True, settings=settings | {"base": base}, secrets=secrets)


async def _told(http: ClientSession, name: str, base: str, events: str) -> Told:
    """Have the provider send its events to `events`."""
    if name == "stripe":
        asked = {"url": events, "enabled_events[0]": "*"}
        made = await _asked(http, f"{base}/v1/webhook_endpoints", data=asked, headers=_basic(KEYS[name], ""))
        return Told({"base": base}, {"webhook_secret": made["secret"]})
    client, _, secret = KEYS[name].partition(":")
    token = await _asked(http, f"{base}/v1/oauth2/token", headers=_basic(client, secret))
    wanted = {"url": events, "event_types": [{"name": one} for one in _PAYPAL_EVENTS]}
    signed = {"Authorization": f"Bearer {token['access_token']}"}
    made = await _asked(http, f"{base}/v1/notifications/webhooks", json=wanted, headers=signed)
    async with http.get(f"{base}/_control/root", timeout=ANSWER_TIMEOUT) as answer:
        root = await answer.text()
    settings = {
        "base": base,
        "client": client,
        "webhook_id": made["id"],
        "certificate_name": _PAYPAL_CERTIFICATE,
        "trusted": root,
    }
    return Told(settings, {})


def _basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"}


async def _asked(http: ClientSession, url: str, **said: Any) -> dict[str, Any]:
    async with http.post(url, timeout=ANSWER_TIMEOUT, **said) as answer:
        if answer.status >= 400:
            raise Refused(f"A test provider answered {url} with {answer.status}.")
        return json.loads(await answer.read())


async def _change(uow: UnitOfWork, account_id: str, told: Told, base: str) -> None:
    """What staff has said of it meanwhile, its name and whether it is open, stays."""
    row = await policies.any_account(uow, account_id)
    said = AccountFields(row.provider, row.name, row.is_test, row.enabled, told.settings, told.secrets)
    await accounts.change_account(uow, account_id, said, allowed=[_place(base)])


def _read(note: Path) -> dict[str, str]:
    try:
        return json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def _write(note: Path, now: dict[str, str]) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(now))


def _place(base: str) -> str:
    return base.removeprefix("http://")
