"""The policy of a page names every inline script of its document, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix_app.page_headers import PageHeaders

# printf 'alert(1)' | openssl dgst -sha256 -binary | base64
ALERT = "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"
PROXIES_TAKE_BYTES = 4096  # nginx, of all headers of one answer, where nobody set anything else


def policy(headers: PageHeaders, path: str) -> dict[str, str]:
    text = dict(headers.of(path))[b"content-security-policy"].decode()
    return dict(part.split(" ", 1) for part in text.split("; "))


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """As Reflex leaves it: a page twice, and one document for all addresses without a document of their own."""
    (tmp_path / "deep" / "page").mkdir(parents=True)
    for name in ("deep/page.html", "deep/page/index.html"):
        (tmp_path / name).write_text('<script>alert(1)</script><script src="/a.js"></script>')
    for number in range(200):
        (tmp_path / f"{number}.html").write_text(f"<script>{number}</script>")
    for name in ("index.html", "404.html"):
        (tmp_path / name).write_text("<script>first()</script>")
    return tmp_path


@pytest.mark.parametrize(
    "path", ["/deep/page", "/deep/page/", "/deep/page.html", "/deep//page", "/deep/page/index.html"]
)
def test_inline_scripts_of_a_document_are_allowed_by_hash_however_it_is_asked_for(
    build: Path, path: str
) -> None:
    assert policy(PageHeaders(build, https=True), path)["script-src"] == f"'self' 'unsafe-eval' {ALERT}"


@pytest.mark.parametrize("path", ["/", "/index.html", "/orders/17", "/404.html", "/a.js", "/../x"])
def test_other_answers_do_not_allow_them(build: Path, path: str) -> None:
    scripts = policy(PageHeaders(build, https=True), path)["script-src"]

    assert scripts.count("sha256-") == 1
    assert ALERT not in scripts


def test_headers_fit_into_what_proxies_take_however_many_pages_there_are(build: Path) -> None:
    headers = PageHeaders(build, https=True)

    assert (
        max(len(b"".join(map(b": ".join, headers.of(f"/{page}")))) for page in (0, 199))
        < PROXIES_TAKE_BYTES / 2
    )


def test_the_policy_has_no_way_round(build: Path) -> None:
    found = policy(PageHeaders(build, https=True), "/deep/page")

    assert "unsafe-inline" not in found["script-src"]
    assert found["frame-ancestors"] == "'none'"
    assert b"strict-transport-security" in dict(PageHeaders(build, https=True).of("/"))
    assert b"strict-transport-security" not in dict(PageHeaders(build, https=False).of("/"))
