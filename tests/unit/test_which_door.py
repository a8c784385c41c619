"""Which app of the web process answers an address, and what leads on to another."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from matrix_app import pages
from matrix_app.arrivals import led_to
from matrix_app.doors import Doors
from matrix_app.pages.registry import LED_ON, PAGES

pages.load_all()

HEADER = (b"x-frame-options", b"DENY")


async def answer(
    path: str, method: str = "GET", *, kind: str = "http", cookie: bytes = b"a=1"
) -> list[MutableMapping[str, Any]]:
    """What is sent for a GET of `path`; the apps behind the doors say their name."""
    sent: list[MutableMapping[str, Any]] = []

    def app(name: str) -> Any:
        async def behind(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"app", name.encode())]})

        return behind

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def led_to(scope: Any) -> str | None:
        return {"/old": "/new?of=the same\u00e9"}.get(scope["path"])

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    doors = Doors(
        api=app("api"),
        live=app("live"),
        pages=app("pages"),
        documents=[],
        headers=lambda path: [HEADER],
        led_to=led_to,
    )
    scope = {"type": kind, "path": path, "raw_path": path.encode(), "method": method}
    await doors(scope | {"headers": [(b"cookie", cookie)]}, receive, send)
    return sent


async def test_who_is_led_on_is_so_by_the_answer_that_no_browser_keeps() -> None:
    for method in ("GET", "HEAD"):
        start, body = await answer("/old", method)

        assert start["status"] == 307
        assert (b"location", b"/new?of=the%20same%C3%A9") in start["headers"]
        assert (b"cache-control", b"no-store") in start["headers"]
        assert HEADER in start["headers"]
        assert body["body"] == b""
    [start] = await answer("/old", "POST")
    assert start["status"] == 200


async def test_a_console_without_a_page_leads_to_its_first_one() -> None:
    for path in ("/governance", "/governance/"):
        scope = {"type": "http", "path": path, "query_string": b"", "headers": []}
        assert await led_to(scope) == "/governance/organizations"


async def test_what_leads_on_leads_to_a_page_and_hides_none() -> None:
    assert set(LED_ON.values()) <= set(PAGES)
    assert set(LED_ON).isdisjoint(PAGES)


async def test_pages_and_api_are_told_apart_by_their_first_part() -> None:
    for path, name in (
        ("/governance/organizations", b"pages"),
        ("/api/v1/keys", b"api"),
        ("/v1/models", b"api"),
    ):
        [start] = await answer(path)
        assert (b"app", name) in start["headers"]


async def test_pages_refuse_headers_that_are_too_large_in_words_like_the_api() -> None:
    large = b"a=" + b"x" * 40_000
    start, body = await answer("/old", cookie=large)
    assert (start["status"], HEADER in start["headers"]) == (431, True)
    assert b"larger than 32 kB. Send fewer; in a browser, delete this site's cookies." in body["body"]
    for path in ("/live", "/_event"):
        assert await answer(path, kind="websocket", cookie=large) == [{"type": "websocket.close"}]
    [start] = await answer("/api/v1/keys", cookie=large)
    assert (b"app", b"api") in start["headers"]


async def test_an_address_that_is_a_secret_is_listed_by_nobody_and_told_to_no_other_site() -> None:
    [start] = await answer("/pay/some-token")
    assert (b"x-robots-tag", b"noindex, nofollow, noarchive") in start["headers"]
    assert (b"referrer-policy", b"no-referrer") in start["headers"]
    [start] = await answer("/payments")
    assert b"x-robots-tag" not in dict(start["headers"])
