"""Settings are complete and safe, or the process does not start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from matrix_app.up.preflight import explain
from services.core import settings as module
from services.core.refusal import Refused
from services.core.settings import Settings


def test_the_address_follows_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATRIX_PORT", "4321")

    assert Settings().public_url == "http://localhost:4321"
    assert "http://127.0.0.1:4321" in Settings().origins


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATRIX_DATABASE_URL", "postgresql+psycopg://owner:canary@db/matrix")
    monkeypatch.setenv("MATRIX_SMTP_URL", "smtp://user:canary@mail")

    assert "canary" not in repr(Settings()) + str(Settings().model_dump())


@pytest.fixture(autouse=True)
def afterwards_read_again() -> Iterator[None]:
    yield
    module.settings.cache_clear()


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"MATRIX_PORT": "70000"}, "port"),
        ({"MATRIX_PORT": "http"}, "port"),
        ({"MATRIX_ALLOWED_ORIGINS": '["*"]'}, "must name origins"),
        ({"MATRIX_ALLOWED_ORIGINS": "https://a.example,*"}, "must name origins"),
        ({"MATRIX_MODE": "production", "MATRIX_PUBLIC_URL": "https://a.example"}, "MATRIX_SMTP_URL"),
        ({"MATRIX_MODE": "production", "MATRIX_SMTP_URL": "smtp://mail"}, "MATRIX_PUBLIC_URL"),
        ({"MATRIX_ALLOWED_ORIGINS": "a.example"}, "allowed_origins"),
        ({"MATRIX_ALLOWED_ORIGINS": '["https://a.example"'}, "allowed_origins"),
        ({"MATRIX_ALLOWED_ORIGINS": '[{"a": 1}]'}, "allowed_origins"),
        ({"MATRIX_PUBLIC_URL": "ai.example.com"}, "public_url"),
        ({"MATRIX_PUBLIC_URL": "https://"}, "public_url"),
        ({"MATRIX_PUBLIC_URL": "ftp://ai.example.com"}, "public_url"),
        ({"MATRIX_PUBLIC_URL": "https://ai.example.com:port"}, "public_url"),
        ({"MATRIX_PUBLIC_URL": "https://ai.example.com/matrix"}, "public_url"),
        ({"MATRIX_PUBLIC_URL": "https://me:canary@ai.example.com"}, "public_url"),
        ({"MATRIX_SMTP_URL": "mail.example.com:587"}, "smtp_url"),
        ({"MATRIX_SMTP_URL": "http://mail.example.com"}, "smtp_url"),
        ({"MATRIX_SMTP_URL": "smtp://mail.example.com:many"}, "smtp_url"),
        ({"MATRIX_SMTP_URL": "smtp://"}, "smtp_url"),
        ({"MATRIX_MODEL_URL": "localhost:8080"}, "model_url"),
        ({"MATRIX_DATABASE_URL": "foo"}, "database_url"),
        ({"MATRIX_DATABASE_URL": ""}, "database_url"),
        ({"MATRIX_DATABASE_URL": "mysql://owner:canary@db/matrix"}, "database_url"),
        ({"MATRIX_DATABASE_URL": "postgresql://owner:canary@db:54x/matrix"}, "database_url"),
        ({"MATRIX_DATABASE_APP_URL": "foo"}, "database_app_url"),
        ({"MATRIX_DATA_DIR": ""}, "data_dir"),
        ({"MATRIX_DATA_DIR": "  "}, "data_dir"),
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

    with pytest.raises(ValidationError, match=named) as wrong:
        Settings()
    assert "canary" not in explain(wrong.value)


def test_what_production_cannot_do_without_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATRIX_MODE", "production")

    with pytest.raises(ValidationError, match="MATRIX_PUBLIC_URL and MATRIX_SMTP_URL"):
        Settings()


@pytest.mark.parametrize(
    "written",
    [
        "https://a.example, https://b.example:8443/",
        "HTTPS://A.example:443,https://b.example:8443",
        '["https://a.example", "https://b.example:8443"]',
    ],
)
def test_lists_are_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("MATRIX_ALLOWED_ORIGINS", written)

    assert Settings().origins >= {"https://a.example", "https://b.example:8443"}


@pytest.mark.parametrize("written", ["", " ", "[]"])
def test_an_empty_list_has_nothing_in_it(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("MATRIX_ALLOW_PRIVATE_UPSTREAMS", written)

    assert Settings().allow_private_upstreams == []


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://AI.Example.com/", "https://ai.example.com"),
        ("https://ai.example.com:443", "https://ai.example.com"),
        ("http://ai.example.com:8080", "http://ai.example.com:8080"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_the_address_is_kept_as_browsers_write_an_origin(
    monkeypatch: pytest.MonkeyPatch, written: str, origin: str
) -> None:
    monkeypatch.setenv("MATRIX_PUBLIC_URL", written)

    assert Settings().public_url == origin


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_database_is_named_as_providers_write_it(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("MATRIX_DATABASE_URL", f"{scheme}://owner:se%2Bcret@db:5433/matrix?sslmode=require")

    chosen = Settings().database_url

    assert chosen is not None
    assert chosen.get_secret_value() == (
        "postgresql+psycopg://owner:se%2Bcret@db:5433/matrix?sslmode=require"
    )


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("MATRIX_PROT", "MATRIX_PORT"),
        ("MATRIX_DATADIR", "MATRIX_DATA_DIR"),
        ("matrix_smtp_uri", "MATRIX_SMTP_URL"),
        ("MATRIX_ALLOWED_ORIGIN", "MATRIX_ALLOWED_ORIGINS"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, unknown: str, meant: str
) -> None:
    monkeypatch.setenv(unknown, "canary")
    module.settings.cache_clear()

    with pytest.raises(Refused, match=f"no setting {unknown.upper()}.*{meant}") as refused:
        module.settings()

    assert "canary" not in str(refused.value)


def test_names_that_others_write_are_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of our own examples, and what Kubernetes tells every container about a service called matrix-web."""
    monkeypatch.setenv("MATRIX_API_KEY", "mx-1")
    monkeypatch.setenv("MATRIX_WEB_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("MATRIX_WEB_SERVICE_PORT_HTTP", "80")
    monkeypatch.setenv("MATRIX_WEB_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("MATRIX_WEB_PORT_80_TCP_ADDR", "10.0.0.1")
    module.settings.cache_clear()

    assert module.settings().port == 3000


def test_folders_do_not_depend_on_where_one_stands_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MATRIX_POSTGRES_BIN", "pg/bin")

    assert Settings().data_dir == tmp_path / "data"
    assert Settings().postgres_bin == tmp_path / "pg" / "bin"
