"""Every kind of answer carries the headers that keep a browser from doing harm with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response
from reflex.utils.precompressed_staticfiles import PrecompressedStaticFiles
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route

from matrix_app.api.app import create_app
from matrix_app.doors import Doors
from matrix_app.page_headers import PageHeaders
from services.core import settings as settings_module
from services.core.postgres import EmbeddedPostgres

HOST = "matrix.example.com"
SCRIPT = "/assets/index-DbAtAaDR.js"

# What each kind of answer must say, and None for what it must not.
OF_EVERY_ANSWER = {"x-content-type-options": "nosniff", "server": None, "x-powered-by": None}
OF_PROGRAMS = OF_EVERY_ANSWER | {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}
OF_PAGES = OF_EVERY_ANSWER | {
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "cache-control": "no-cache",
}
OF_THE_POLICY = ("object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'none'")

ANSWERS: dict[str, tuple[str, str, int, dict[str, str | None]]] = {
    "a page": ("GET", "/sign-in", 200, OF_PAGES),
    "the front page": ("GET", "/", 200, OF_PAGES),
    "a script": ("GET", SCRIPT, 200, OF_PAGES | {"cache-control": "public, max-age=31536000, immutable"}),
    "a script of another build": ("GET", "/assets/index-AAAAAAAA.js", 404, OF_PAGES),
    "a picture": ("GET", "/favicon.svg", 200, OF_PAGES),
    "a page that is not there": ("GET", "/nowhere", 404, OF_PAGES),
    "a way on": ("GET", "/old", 307, OF_PAGES | {"cache-control": "no-store"}),
    "a wrong method of a page": ("DELETE", "/sign-in", 405, OF_PAGES),
    "a failure of the pages": ("GET", "/broken", 500, OF_PAGES),
    "health": ("GET", "/healthz", 200, OF_PROGRAMS),
    "the document": ("GET", "/api/v1/openapi.json", 200, OF_PROGRAMS),
    "a refusal of the API": ("GET", "/api/v1/me", 401, OF_PROGRAMS),
    "an address the API has not": ("GET", "/api/v1/nothing", 404, OF_PROGRAMS),
    "a wrong method of the API": ("DELETE", "/api/v1/me", 405, OF_PROGRAMS),
    "a refusal of the gateway": ("POST", "/v1/chat/completions", 401, OF_PROGRAMS),
    "an address the gateway has not": ("GET", "/v1/nothing", 404, OF_PROGRAMS),
}


def built(folder: Path) -> Path:
    """A frontend as the build leaves it."""
    documents = ("index.html", "404.html", "sign-in.html", "sign-in/index.html")
    for name in (*documents, SCRIPT.removeprefix("/"), "favicon.svg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<script>alert(1)</script>" if name.endswith("html") else "x")
    return folder


async def _old(scope: Any) -> str | None:
    return "/sign-in" if scope["path"] == "/old" else None


async def _broken(_: Request) -> Response:
    raise ZeroDivisionError


@pytest.fixture
async def browser(
    postgres: EmbeddedPostgres, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AsyncClient]:
    """Somebody at the doors of an installation that is reached by https."""
    monkeypatch.setenv("MATRIX_DATABASE_URL", postgres.owner_url(database_name))
    monkeypatch.setenv("MATRIX_DATABASE_APP_URL", postgres.app_url(database_name))
    monkeypatch.setenv("MATRIX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MATRIX_PUBLIC_URL", f"https://{HOST}")
    settings_module.settings.cache_clear()
    api, build = create_app(), built(tmp_path / "build")
    files = PrecompressedStaticFiles(directory=build, html=True)
    pages = Starlette(routes=[Route("/broken", _broken), Mount("/", files)])
    doors = Doors(
        api=api,
        live=api,
        pages=pages,
        documents=["/sign-in"],
        led_to=_old,
        headers=PageHeaders(build, https=settings_module.settings().secure_cookies).of,
    )
    transport = ASGITransport(doors, raise_app_exceptions=False)
    async with (
        api.router.lifespan_context(api),
        AsyncClient(transport=transport, base_url=f"https://{HOST}") as client,
    ):
        yield client
    settings_module.settings.cache_clear()


async def test_every_kind_of_answer_is_guarded(browser: AsyncClient) -> None:
    wrong: list[str] = []
    for what, (method, path, status, promised) in ANSWERS.items():
        answer = await browser.request(method, path)
        if answer.status_code != status:
            wrong.append(f"{what}: {answer.status_code} instead of {status}")
        promised = promised | {"strict-transport-security": "max-age=31536000"}
        for name, value in promised.items():
            if answer.headers.get(name) != value:  # a header that is there twice is joined, and differs
                wrong.append(f"{what}: {name} is {answer.headers.get(name)!r}, not {value!r}")
        policy = answer.headers.get("content-security-policy", "")
        if promised.items() >= OF_PAGES.items() and not all(part in policy for part in OF_THE_POLICY):
            wrong.append(f"{what}: {policy}")
        if "script-src 'unsafe-inline'" in policy or "*" in policy:
            wrong.append(f"{what}: {policy}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "path",
    [
        "/../secret", "/assets/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/assets/..%2f..%2fsecret",
        "/..%5csecret", "/%252e%252e/secret", "//secret", "/secret%00.html",
    ],
)  # fmt: skip
async def test_no_path_leads_out_of_the_pages_folder(browser: AsyncClient, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("not for the world")

    answer = await browser.get(f"https://{HOST}{path}")

    assert answer.status_code in (400, 404), answer.text
    assert "not for the world" not in answer.text
