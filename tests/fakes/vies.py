"""A fake VIES: answers `check-vat-number` as the European Commission's service does, JSON over REST.

`numbers` are those that exist. `fault` is what it answers instead: a code of VIES' own, such as MS_UNAVAILABLE, or
"hang up" and "nonsense". As at the real one, only who says its own number, which has to exist, gets a consultation
number.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_COUNTRIES = frozenset(
    (
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "EL", "ES", "FI", "FR", "HR", "HU", "IE", "IT", "LT",
        "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK", "XI",
    )
)  # fmt: skip
_STATUS = {"INVALID_INPUT": 400, "INVALID_REQUESTER_INFO": 400}  # all other errors are the service's: 500


class Vies:
    """`asked` is what was sent, in order."""

    def __init__(self) -> None:
        self.address = ""
        self.numbers = {"ATU13585627", "DE123456788", "FR40303265045"}
        self.fault = ""
        self.asked: list[dict[str, Any]] = []

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://").partition("/")[0]

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(body)
        country, number = body.get("countryCode"), body.get("vatNumber")
        if self.fault:
            return _error(self.fault)
        if country not in _COUNTRIES or not isinstance(number, str) or not number.isalnum():
            return _error("INVALID_INPUT")
        requester = f"{body.get('requesterMemberStateCode', '')}{body.get('requesterNumber', '')}"
        if requester and requester not in self.numbers:
            return _error("INVALID_REQUESTER_INFO")
        valid = f"{country}{number}" in self.numbers
        return 200, {
            "countryCode": country,
            "vatNumber": number,
            "requestDate": "2026-03-10T09:00:00.000Z",
            "valid": valid,
            "requestIdentifier": f"WAPIAAAAZ{len(self.asked):07}" if requester and valid else "",
            "name": "ACME" if valid else "---",
            "address": "RING 2" if valid else "---",
            "traderName": "---",
            "traderNameMatch": "NOT_PROCESSED",
        }


def _error(code: str) -> tuple[int, dict[str, Any]]:
    return _STATUS.get(code, 500), {"actionSucceed": False, "errorWrappers": [{"error": code}]}


@contextmanager
def vies() -> Generator[Vies, None, None]:
    """One that listens until the block ends."""
    fake = Vies()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path != "/rest-api/check-vat-number":
                self.send_error(404)
                return
            status, told = fake.answer(body)
            if fake.fault == "hang up":
                self.close_connection = True
                return
            said = b"<html>503</html>" if fake.fault == "nonsense" else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    fake.address = f"http://127.0.0.1:{server.server_port}/rest-api"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
