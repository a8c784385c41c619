"""What lies in deploy/ can be used as it is: its formats are right, and what it names exists."""

from __future__ import annotations

import argparse
import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from matrix_app.cli import _parser
from services.core.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def commands() -> set[str]:
    (found,) = [one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction)]
    return set(found.choices)


def unit(path: Path) -> configparser.RawConfigParser:
    # Environment= and the like may stand there more than once; for what is asked here the last will do.
    read = configparser.RawConfigParser(strict=False, delimiters=("=",))
    read.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    read.read_string(path.read_text())
    return read


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bMATRIX_[A-Z_]+", path.read_text()))

    assert named <= {f"MATRIX_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_a_command_that_exists_and_may_take_its_time_to_end(path: Path) -> None:
    service = unit(path)["Service"]
    program, command = service["ExecStart"].split()

    assert program == "/opt/matrix/.venv/bin/matrix"
    assert command in commands()
    assert service["User"] == "matrix"
    if command in ("web", "up"):
        assert float(service["TimeoutStopSec"]) > 5 + 15 + 20  # notice, drain, and closing the database


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for path in UNITS:
        # An instance of the template, and a program that exists here.
        target = tmp_path / path.name.replace("@.", "@3001.")
        target.write_text(path.read_text().replace("/opt/matrix/.venv/bin/matrix", sys.executable))

    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in checked.stderr.splitlines() if "matrix" in line]
    assert (checked.returncode, ours) == (0, []), checked.stderr


def test_the_example_settings_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        line.removeprefix("# ")
        for line in (DEPLOY / "matrix.env.example").read_text().splitlines()
        if "=" in line
    ]
    for line in lines:
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MATRIX_MODE", "production")

    read = Settings()

    assert isinstance(read.smtp_url, SecretStr)
    assert read.backup_dir == Path("/var/backups/matrix")
    assert read.secure_cookies


def test_the_container_is_made_of_files_that_exist_by_commands_that_exist() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M)
        for name in line.split()[:-1]
        if name != "."
    ]

    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert set(re.findall(r"bin/matrix (\w+)", text)) <= commands()
    assert re.search(r'^CMD \["(\w+)"\]', text, re.M) is not None
    assert set(re.findall(r'^CMD \["(\w+)"\]', text, re.M)) <= commands()
    locks = set(
        re.findall(r'"(requirements[\w-]*\.(?:txt|in))"', (ROOT / "matrix_app/up/bootstrap.py").read_text())
    )
    assert locks - {"requirements-dev.txt"} <= set(copied)


def test_what_installs_in_the_container_needs_no_file_that_is_not_there_yet(tmp_path: Path) -> None:
    """`COPY . .` comes after it, so that packages are installed again only when the lock files changed."""
    before = (DEPLOY / "Containerfile").read_text().partition("RUN python3 matrix_app/up/bootstrap.py")[0]
    for line in re.findall(r"^COPY (.+)$", before, re.M):
        *names, target = line.split()
        for name in names:
            there = tmp_path / (name if target == "./" else target)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, there)
    begin = (
        "import sys; sys.path.insert(0, 'matrix_app/up'); import bootstrap as b; "
        "b.end_with_parent(); b.lock_digest(['run'])"
    )

    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", begin], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr


def statements(text: str) -> list[str]:
    """nginx's own grammar, as far as it goes: what ends with `;` or opens a block. Refuses unbalanced braces."""
    found: list[str] = []
    depth, waiting, quoted = 0, "", False
    for character in re.sub(r"^\s*#.*$", "", text, flags=re.M):
        quoted ^= character == '"'
        if character in ";{}" and not quoted:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0
            if waiting.strip():
                assert character != "}", f"{waiting.strip()!r} does not end"
                found.append(" ".join(waiting.split()))
            waiting = ""
        else:
            waiting += character
    assert (depth, waiting.strip()) == (0, "")
    return found


def test_nginx_knows_every_process_it_names_and_passes_what_matrix_needs() -> None:
    found = statements((DEPLOY / "nginx.conf").read_text())
    upstreams = {line.split()[1] for line in found if line.startswith("upstream ")}
    named = {name for line in found for name in re.findall(r"\bmatrix_(?:any|\d+)\b", line)}
    ports = set(re.findall(r"127\.0\.0\.1:(\d+)", " ".join(found)))

    assert named == upstreams == {"matrix_any", *(f"matrix_{port}" for port in ports)}
    for wanted in (
        "proxy_set_header Host $host",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for",
        "proxy_set_header Upgrade $http_upgrade",
        "proxy_buffering off",
        "proxy_http_version 1.1",
    ):
        assert wanted in found


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx here")
def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    subprocess.run(
        [*make, "-keyout", "privkey.pem", "-out", "fullchain.pem"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    ours = (DEPLOY / "nginx.conf").read_text().replace("/etc/matrix/tls", str(tmp_path))
    (tmp_path / "matrix.conf").write_text(ours)
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    around = f"access_log off; {folders} include {tmp_path}/matrix.conf;"
    main = f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ {around} }}"
    (tmp_path / "nginx.conf").write_text(main)

    checked = subprocess.run(
        ["nginx", "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
