"""Settings are complete and safe, or the process does not start."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.core.settings import Settings


def test_the_address_follows_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATRIX_PORT", "4321")

    assert Settings().public_url == "http://localhost:4321"
    assert "http://127.0.0.1:4321" in Settings().origins


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATRIX_DATABASE_URL", "postgresql+psycopg://owner:canary@db/matrix")
    monkeypatch.setenv("MATRIX_SMTP_URL", "smtp://user:canary@mail")

    assert "canary" not in repr(Settings()) + str(Settings().model_dump())


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"MATRIX_PORT": "70000"}, "port"),
        ({"MATRIX_PORT": "http"}, "port"),
        ({"MATRIX_ALLOWED_ORIGINS": '["*"]'}, "MATRIX_ALLOWED_ORIGINS"),
        ({"MATRIX_MODE": "production"}, "MATRIX_SMTP_URL"),
        ({"MATRIX_MODE": "staging"}, "mode"),
        ({"MATRIX_POOL_SIZE": "0"}, "pool_size"),
        ({"MATRIX_ORGANIZATION_TOKENS_PER_MINUTE": "3000000000"}, "organization_tokens_per_minute"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError, match=named):
        Settings()


def test_the_data_folder_does_not_depend_on_where_one_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert Settings().data_dir == tmp_path / "data"
