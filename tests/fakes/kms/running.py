"""A KMS of its own for a test: moto as a process. It checks signatures, and who may do what, as the real one does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

import httpx
import orjson

from services.core.tether import tied
from tests.tools.moto import packages

TIMEOUT_S = 60
REGION = "eu-central-1"
_PROGRAM = """
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""
_MAY = {"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*"}
_SET_UP = 4  # what is asked by nobody in particular, before signatures count


@dataclass(frozen=True, slots=True)
class FakeKms:
    url: str
    key: str
    access_key: str
    secret_key: str


@contextmanager
def running_kms() -> Generator[FakeKms]:
    """With a key, and somebody who may encrypt and decrypt."""
    environment = os.environ | {
        "PYTHONPATH": str(packages()),
        "INITIAL_NO_AUTH_ACTION_COUNT": str(_SET_UP),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, preexec_fn=tied(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        assert port, "moto ended before it listened"
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield _set_up(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait(TIMEOUT_S)


def _set_up(url: str) -> FakeKms:
    with httpx.Client(base_url=url, trust_env=False, timeout=TIMEOUT_S) as http:
        _iam(http, Action="CreateUser", UserName="matrix")
        policy = orjson.dumps({"Version": "2012-10-17", "Statement": [_MAY]}).decode()
        _iam(http, Action="PutUserPolicy", UserName="matrix", PolicyName="keys", PolicyDocument=policy)
        made = _iam(http, Action="CreateAccessKey", UserName="matrix")
        told = http.post(
            "/",
            content=b"{}",
            headers={
                "content-type": "application/x-amz-json-1.1",
                "x-amz-target": "TrentService.CreateKey",
                "authorization": _scoped("kms"),
            },
        ).json()
    return FakeKms(url, told["KeyMetadata"]["Arn"], made[".//{*}AccessKeyId"], made[".//{*}SecretAccessKey"])


def _iam(http: httpx.Client, **asked: str) -> dict[str, str]:
    answer = http.post("/", data=asked | {"Version": "2010-05-08"}, headers={"authorization": _scoped("iam")})
    assert answer.status_code == 200, answer.text
    tree = ElementTree.fromstring(answer.text)
    found = {path: tree.findtext(path) for path in (".//{*}AccessKeyId", ".//{*}SecretAccessKey")}
    return {path: text for path, text in found.items() if text}


def _scoped(service: str) -> str:
    """Tells moto whom a request is for; nothing is signed yet."""
    return f"AWS4-HMAC-SHA256 Credential=none/20260101/{REGION}/{service}/aws4_request"
