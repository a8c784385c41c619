"""What attackers send rather than what people mistype: refused in words that help, and nothing half done.

What people mistype is in test_bad_input.py; what the gateway is sent, in integration/gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.identity import rules
from services.metering.service import ensure_platform_meters
from services.notify.smtp import Outgoing, message_for
from tests.api.conftest import ADDRESS, PASSWORD, Api, problem
from tests.api.test_bad_input import contents
from tests.integration.walk.operations import How, declared
from tests.integration.walk.victim import Victim, furnish
from tests.integration.walk.watching import state_of

JSON = {"content-type": "application/json"}

WRONG_TYPES = (
    "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml",
    "image/svg+xml", "application/zip", "application/jsonp", "json",
)  # fmt: skip

# What may stand where an id is expected.
# Dots are written as %2e: a client resolves those that stand for themselves, and asks for another address.
HOSTILE_IDS = (
    "%2e%2e", "%2e%2e/%2e%2e", "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f", "..;/", "....//", "\\..\\..\\boot.ini",
    "%00", "a%00b", "%0d%0aSet-Cookie:%20a=b", "'; drop table api_key; --", "1 or 1=1", "%25", "%", "_", "*", "{}",
    "${jndi:ldap://x}", "{{7*7}}", "<script>alert(1)</script>", "🐈", "\u202e", "-1", "9" * 400, "x" * 5_000,
    "apikey_" + "z" * 26, "null", "undefined", "NaN",
)  # fmt: skip


@pytest.fixture
async def operator(api: Api, operators: Organization) -> AsyncClient:
    """Somebody who may do everything: refusals then are for what was sent, not for who sent it."""
    async with crossing(Reason.CATALOG) as uow:
        await ensure_platform_meters(uow)
    return await api.browser(operators, Role.OPERATOR)


@pytest.fixture
async def victim(api: Api) -> Victim:
    return await furnish(api.world, "Victim")


def refused(answer: httpx.Response, *statuses: int) -> str:
    """Why this is not a refusal in words that help; empty when it is one."""
    if answer.status_code not in statuses:
        return f"{answer.status_code} {answer.text[:200]}"
    document = answer.json()
    helps = document["code"] and document["detail"] and (document["next_step"] or document["errors"])
    return "" if helps and "Traceback" not in answer.text else f"no help in {document}"


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=[pytest.mark.deep, pytest.mark.timeout(900)])])
async def test_no_path_parameter_leads_anywhere_else(
    api: Api, operator: AsyncClient, victim: Victim, every: int
) -> None:
    """Each text at every eighth operation, and at all of them in the deep run."""
    before, wrong = await state_of(victim), list[str]()
    for number, operation in enumerate(declared(api.contract.document)):
        asked = [name for where, name, _ in operation.inputs if where == "path"]
        if not asked or not operation.path.startswith("/api/"):
            continue
        for hostile in HOSTILE_IDS[number % every :: every]:
            given = operation.attempt(victim, How.BARE)
            path = operation.path
            for name in asked:
                path = path.replace(f"{{{name}}}", hostile if "%" in hostile else quote(hostile, safe="/;"))
            answer = await operator.request(**{**given, "url": f"{ADDRESS}{path}"})
            if fault := refused(answer, 400, 404, 405):
                wrong.append(f"{operation} with {hostile[:40]!r}: {fault}")

    assert not wrong, "\n".join(wrong)
    assert await state_of(victim) == before


async def test_a_body_of_another_type_is_not_guessed_at(
    api: Api, operator: AsyncClient, victim: Victim
) -> None:
    before, rows, wrong = await state_of(victim), await contents(), list[str]()
    for operation in declared(api.contract.document):
        if not operation.body or not operation.path.startswith("/api/"):
            continue
        given = operation.attempt(victim, How.BARE)
        body = str(given.pop("json", given.pop("files", "")))
        for kind in WRONG_TYPES:
            headers = {"content-type": kind} if kind else {}
            url = f"{ADDRESS}{given['url']}"
            answer = await operator.request(**{**given, "url": url, "content": body, "headers": headers})
            if fault := refused(answer, 400, 415, 422):
                wrong.append(f"{operation} as {kind!r}: {fault}")

    assert not wrong, "\n".join(wrong)
    assert (await state_of(victim), await contents()) == (before, rows)


BODIES = {
    "deep arrays": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a huge integer": b'{"name": "k", "requests_per_minute": ' + b"9" * 5_000 + b"}",
    "a huge exponent": b'{"name": "k", "requests_per_minute": 1e400}',
    "a name given twice": b'{"name": "mine", "name": 7}',
    "a byte order mark": b"\xef\xbb\xbf" + b'{"name": 1}',
    "UTF-16": '{"name": "k"}'.encode("utf-16"),
    "UTF-7": b"+AHsAIgBuAGEAbQBl-",
    "compressed": b"\x1f\x8b\x08\x00" + b"\0" * 100,
    "two documents": b'{"name": "a"}{"name": "b"}',
    "a comment": b'{"name": "a" /* b */}',
    "a trailing comma": b'{"name": "a",}',
    "a prototype": b'{"name": "k", "__proto__": {"admin": true}}',
    "a NUL": b'{"name": "a\\u0000b"}',
    "nothing": b"",
}


@pytest.mark.parametrize("what", BODIES)
async def test_a_body_made_to_confuse_is_refused_whole(operator: AsyncClient, what: str) -> None:
    before = await contents()

    for path in ("keys", "organizations", "meters", "usage/events"):
        answer = await operator.post(path, content=BODIES[what], headers=JSON)
        assert refused(answer, 400, 413, 422) == "", path

    assert await contents() == before


NAMES = {
    "a header in a name": "Ana\r\nBcc: everybody@example.com",
    "half a line break": "Ana\nSubject: You have won",
    "the other half": "Ana\rX-Mailer: me",
    "a break as Unicode has it": "Ana\u2028Bcc: everybody@example.com",
    "a break of another age": "Ana\u0085Bcc: everybody@example.com",
    "a vertical tab": "Ana\x0bBcc: everybody@example.com",
}


@pytest.mark.parametrize("what", NAMES)
async def test_nothing_that_is_typed_becomes_a_header_of_a_mail(operator: AsyncClient, what: str) -> None:
    name, before = NAMES[what], await contents()
    fresh = {"email": "new@example.com", "password": PASSWORD, "name": "New"}
    attempts: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "sign-up", {**fresh, "name": name}),
        ("POST", "sign-up", {**fresh, "email": f"{name}@example.com"}),
        ("POST", "sign-up", {**fresh, "email": f"new@example.com{name[3:]}"}),
        ("POST", "sign-up/resend", {"email": f"new@example.com{name[3:]}"}),
        ("POST", "organizations", {"name": name}),
        ("PATCH", "organization", {"name": name}),
        ("POST", "keys", {"name": name}),
    ]

    for method, path, body in attempts:
        answer = await operator.request(method, path, json=body)
        problem(answer, 422, "unprintable_character")

    assert await contents() == before


def test_a_line_break_that_got_as_far_as_the_mail_itself_ends_there() -> None:
    facts = {
        "message_id": "m",
        "sender": "Matrix <a@example.com>",
        "recipient": "b@example.com",
        "subject": "Hello",
    }
    for field in ("sender", "recipient", "subject", "message_id"):
        with pytest.raises(ValueError, match=r"(?i)linefeed|newline|header"):
            message_for(Outgoing(**{**facts, field: f"{facts[field]}\r\nBcc: c@example.com"}, body="x"))


LOOK_ALIKES = {
    "one Cyrillic letter in a name": ("\u0430na@example.com", "mixed_alphabets"),
    "one Greek letter in a name": ("an\u03b1@example.com", "mixed_alphabets"),
    "one Cyrillic letter in a domain": ("ana@ex\u0430mple.com", "mixed_alphabets"),
    "a joiner nobody sees": ("ana@exam\u200dple.com", "invalid_input"),
    "a direction turned round": ("ana@\u202eelpmaxe.com", "invalid_input"),
    "a slash that is none": ("ana@example.com\u2044evil.example", "invalid_input"),
    "punycode of nothing": ("ana@xn--0.example", "invalid_input"),
    "punycode of what is no letter": ("ana@xn--n3h.example", "invalid_input"),
}


@pytest.mark.parametrize("what", LOOK_ALIKES)
async def test_an_address_made_to_look_like_another_is_refused(api: Api, what: str) -> None:
    address, code = LOOK_ALIKES[what]
    before = await contents()

    for path, body in (
        ("sign-up", {"email": address, "password": PASSWORD, "name": "Ana"}),
        ("session", {"email": address, "password": PASSWORD}),
        ("sign-up/resend", {"email": address}),
    ):
        problem(await api.client().post(path, json=body), 422, code)

    assert await contents() == before


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("ana@b\u00fccher.example", "ana@xn--bcher-kva.example"),
        ("ana@XN--BCHER-KVA.example", "ana@xn--bcher-kva.example"),
        ("ana@\u0430\u0440\u0440\u04cf\u0435.example", "ana@xn--80ak6aa92e.example"),  # all of it Cyrillic
        ("\uff21na@\uff45xample.com", "ana@example.com"),
        ("Ana@Example.COM", "ana@example.com"),
    ],
)
def test_a_domain_is_known_by_its_ascii_form(written: str, kept: str) -> None:
    """Two ways to write one mailbox are one account, and a domain that looks like another one shows that it is not."""
    assert rules.parse_email(written).key == kept
    assert rules.parse_email(written).address.isascii()


@pytest.mark.parametrize("address", ["a@b", "root@localhost", "a@127.0.0.1", "a@b.c", "a@b."])
async def test_an_address_that_mail_cannot_go_to_gets_no_account_and_no_invitation(
    api: Api, address: str
) -> None:
    account = {"email": address, "password": PASSWORD, "name": "Ana"}

    told = problem(await api.client().post("sign-up", json=account), 422, "invalid_input")

    assert [error["pointer"] for error in told["errors"]] == ["#/email"]
    with pytest.raises(Invalid, match="not an e-mail address"):
        rules.parse_new_email(address)


# Cursors


async def cursor_of(client: AsyncClient, path: str) -> str:
    found = (await client.get(path)).json()["next_cursor"]
    assert found, path
    return found


async def test_a_cursor_only_continues_what_it_was_made_for(
    api: Api, operator: AsyncClient, acme: Organization
) -> None:
    owner = await api.browser(acme)
    for number in range(3):
        for client in (owner, operator):
            assert (await client.post("keys", json={"name": f"key {number}"})).status_code == 201
    own = await cursor_of(owner, "keys?limit=1")
    theirs = await cursor_of(operator, "keys?limit=1")
    of_staff = await cursor_of(operator, "staff/organizations?limit=1")

    assert (await owner.get(f"keys?limit=1&cursor={own}")).json()["data"][0]["name"] == "key 1"
    wrong = {
        "another tenant's": f"keys?cursor={theirs}",
        "another list's": f"requests?cursor={own}",
        "another list's, the other way round": f"keys?cursor={of_staff}",
        "of other filters": f"keys?status=active&cursor={own}",
        "cut short": f"keys?cursor={own[:-2]}",
        "changed": f"keys?cursor={'B' if own[0] == 'A' else 'A'}{own[1:]}",
        "longer": f"keys?cursor={own}AA",
        "nothing": "keys?cursor=",
        "not text of ours": "keys?cursor=%C3%A9",
    }
    for what, path in wrong.items():
        assert problem(await owner.get(path), 422, "cursor_invalid"), what


async def test_a_nul_is_found_where_it_stands(operator: AsyncClient) -> None:
    bodies: list[tuple[dict[str, object], str]] = [
        ({"name": "a\0b"}, "#/name"),
        ({"name": "a", "models": ["b", "c\0"]}, "#/models/1"),
        ({"na\0me": "a"}, "#/"),
    ]
    for body, pointer in bodies:
        told = problem(await operator.post("keys", json=body), 422, "invalid_input")
        assert [error["pointer"] for error in told["errors"]] == [pointer]
        assert told["detail"].startswith(f"{pointer}: contains a NUL byte")


# Over the wire, where a client may say what no library would


def said(port: int, request: bytes) -> bytes:
    """What the server answers to these very bytes, until it closes or says no more."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        parts: list[bytes] = []
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(request)
            while part := connection.recv(65_536):
                parts.append(part)
        return b"".join(parts)


def ask(port: int, headers: dict[str, str], path: str = "/api/v1/me") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["cookie", "x-anything", "authorization", "user-agent"])
async def test_headers_that_are_too_large_are_refused_in_words(wire: int, name: str) -> None:
    status, body = await asyncio.to_thread(ask, wire, {name: "a=" + "x" * 100_000})
    assert (status, b'"code":"headers_too_large"' in body) == (431, True)

    status, body = await asyncio.to_thread(ask, wire, {name: "a=" + "x" * 100_000}, "/v1/models")
    assert (status, b'"code":"request_too_large"' in body) == (413, True)


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
BYTES = {
    "a megabyte of one header": GET + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "ten thousand headers": GET + b"X: y\r\n" * 10_000 + b"\r\n",
    "a NUL in a header": GET + b"X: a\0b\r\n\r\n",
    "a folded header": GET + b"X: a\r\n b\r\n\r\n",
    "a blank in a name": GET + b"X : a\r\n\r\n",
    "a header without a name": GET + b": a\r\n\r\n",
    "two lengths": GET.replace(b"GET", b"POST") + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": GET.replace(b"GET", b"POST") + b"Content-Length: -1\r\n\r\n",
    "a length and chunks": GET.replace(b"GET", b"POST")
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/me HTTP/1.1\r\n\r\n",
    "chunks of a broken size": GET.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n",
    "a method of noise": b"\xff\xfe / HTTP/1.1\r\nHost: a\r\n\r\n",
    "an address of noise": b"GET /\xff\xfe\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "the way up": GET.replace(b"/healthz", b"/../../../etc/passwd") + b"\r\n",
    "a whole address": GET.replace(b"/healthz", b"http://169.254.169.254/latest/meta-data") + b"\r\n",
    "a tunnel": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
    "another age": b"GET /healthz HTTP/9.9\r\n\r\n",
}


async def test_bytes_that_are_no_request_end_with_a_refusal_and_harm_nobody(wire: int) -> None:
    wrong: list[str] = []
    for what, request in BYTES.items():
        answer = await asyncio.to_thread(said, wire, request)
        first = answer.partition(b"\r\n")[0]
        if b" 5" in first[:13] or b"root:" in answer or answer.count(b"HTTP/1.1 ") > 1:
            wrong.append(f"{what}: {answer[:200]!r}")
        status, _ = await asyncio.to_thread(ask, wire, {}, "/healthz")
        assert status == 200, what

    assert not wrong, "\n".join(wrong)
