"""The policy of pages names every inline script of the build, and no other."""

from __future__ import annotations

from pathlib import Path

from matrix_app.page_headers import inline_script_hashes, page_headers

# printf 'alert(1)' | openssl dgst -sha256 -binary | base64
ALERT = "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"


def test_inline_scripts_are_allowed_by_hash(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "index.html").write_text('<script>alert(1)</script><script src="/a.js"></script>')

    assert inline_script_hashes(tmp_path) == {ALERT}


def test_the_policy_has_no_way_round(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<script>alert(1)</script>")
    headers = dict(page_headers(tmp_path, https=True))
    policy = dict(part.split(" ", 1) for part in headers[b"content-security-policy"].decode().split("; "))

    assert ALERT in policy["script-src"]
    assert "unsafe-inline" not in policy["script-src"]
    assert policy["frame-ancestors"] == "'none'"
    assert b"strict-transport-security" in headers
    assert b"strict-transport-security" not in dict(page_headers(tmp_path, https=False))
