"""The system account of the embedded PostgreSQL is made once, whoever asks at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.core import postgres_account
from services.core.postgres_account import PostgresFailed, server_account

# Stands for useradd, which must not run twice at once: says so when it does.
USERADD = """#!/bin/sh
mkdir "{folder}/busy" || {{ echo "two at once" >&2; exit 1; }}
n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); done
rmdir "{folder}/busy"
echo "not this time" >&2
exit 1
"""


@pytest.fixture
def useradd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "useradd"
    program.write_text(USERADD.format(folder=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(postgres_account, "SERVER_ACCOUNT", "matrix-nobody-has-this")
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_starts_at_the_same_time_make_the_account_one_after_the_other(useradd: None) -> None:
    def refusal(_: int) -> str:
        with pytest.raises(PostgresFailed) as caught:
            server_account()
        return str(caught.value)

    with ThreadPoolExecutor(4) as starts:
        refusals = list(starts.map(refusal, range(4)))

    assert all("(not this time)" in text for text in refusals)
