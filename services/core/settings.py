"""Settings, read once from `MATRIX_*` variables and validated before anything starts."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.core import urls
from services.core.refusal import Refused

PER_MINUTE_MAX = 1_000_000_000  # leases of limits are 32-bit numbers
PREFIX = "MATRIX_"
_CURRENCY = re.compile(r"[A-Z]{3}|\*")


def _listed(written: Any) -> Any:
    """A list from `a, b` or from JSON. Raises ValueError for what is neither."""
    if not isinstance(written, str):
        return written
    if not written.lstrip().startswith("["):
        return [part.strip() for part in written.split(",") if part.strip()]
    try:
        return json.loads(written)
    except json.JSONDecodeError as error:
        raise ValueError("a list is written with commas, or as JSON: neither can be read") from error


def _by_currency(written: Any) -> Any:
    """Amounts from `EUR:50000, *:20000`. Raises ValueError for what is not written like that."""
    if not isinstance(written, str):
        return written
    parts = [part.partition(":") for part in _listed(written)]
    if not all(_CURRENCY.fullmatch(code.strip()) and minor.strip().isdecimal() for code, _, minor in parts):
        raise ValueError("write a currency and minor units, as in EUR:50000, with * for all other currencies")
    return {code.strip(): int(minor) for code, _, minor in parts}


def _origins(written: Any) -> Any:
    origins = _listed(written)
    if "*" in str(origins):
        raise ValueError("it must name origins; '*' would let any site act for a signed-in person")
    return origins


def _named_folder(written: Any) -> Any:
    """Raises ValueError for an empty name, which would mean the folder one happens to stand in."""
    if isinstance(written, str) and not written.strip():
        raise ValueError("it is empty: name a folder, or leave it out for ./data")
    return written


def _database(written: SecretStr) -> SecretStr:
    return SecretStr(urls.database_url(written.get_secret_value()))


def _mail_server(written: SecretStr) -> SecretStr:
    return SecretStr(urls.smtp_url(written.get_secret_value()))


def _origin_or_none(written: str) -> str:
    return urls.http_origin(written) if written else ""


def _url_or_none(written: str) -> str:
    return urls.http_url(written) if written else ""


_List = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
_Origins = Annotated[list[Annotated[str, AfterValidator(urls.origin)]], NoDecode, BeforeValidator(_origins)]
_ByCurrency = Annotated[dict[str, int], NoDecode, BeforeValidator(_by_currency)]
_DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]


class Settings(BaseSettings):
    """Everything an operator may choose. Secrets are `SecretStr`, so that printing settings shows stars."""

    model_config = SettingsConfigDict(env_prefix="MATRIX_", env_file=None, extra="ignore", frozen=True)

    mode: Literal["demo", "production"] = "demo"
    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65_535)
    data_dir: Annotated[Path, BeforeValidator(_named_folder)] = Path("data")
    public_url: Annotated[str, AfterValidator(_origin_or_none)] = ""  # required in production
    allowed_origins: _Origins = []
    # How long a process that was asked to end still takes new callers while /readyz says that it leaves.
    drain_notice_s: float = Field(default=0, ge=0, le=60)
    trusted_proxy_hops: int = Field(default=0, ge=0, le=8)

    database_url: _DatabaseUrl | None = None  # owner of the tables; none means the embedded server
    database_app_url: _DatabaseUrl | None = None  # role matrix_app; by default the owner's URL with SET ROLE
    postgres_bin: Path | None = (
        None  # a folder with initdb and postgres for the embedded server, if not the wheel's
    )
    pool_size: int = Field(default=12, ge=2, le=200)

    # smtp://user:password@host:587 ; required in production
    smtp_url: Annotated[SecretStr, AfterValidator(_mail_server)] | None = None
    mail_from: str = "Matrix <no-reply@localhost>"

    model_url: Annotated[str, AfterValidator(_url_or_none)] = (
        ""  # where the built-in model server answers; set by `matrix up`
    )
    # One core is left to everybody else: llama.cpp's threads wait for each other in a loop, and when they share
    # cores with other work two of them were measured five times slower than one.
    model_threads: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) - 1), ge=1, le=256)

    # Upstreams may live inside only at these host:port pairs; see services/core/outgoing.py.
    allow_private_upstreams: _List = []
    # What one organisation may ask of the gateway with all its keys; keys may be limited further.
    organization_requests_per_minute: int = Field(default=30_000, ge=1, le=PER_MINUTE_MAX)
    organization_tokens_per_minute: int = Field(default=10_000_000, ge=1, le=PER_MINUTE_MAX)

    # What one of staff may give back alone, in minor units by currency; see services/refunds/rules.py.
    refund_approval_above: _ByCurrency = {"*": 50_000}

    # What one key or one person may ask of the REST API, and all who are not known from one network, a process.
    api_requests_per_minute: int = Field(default=6_000, ge=1, le=PER_MINUTE_MAX)
    api_network_per_minute: int = Field(default=1_200, ge=1, le=PER_MINUTE_MAX)

    # How many invoices a worker charges by kept methods at once; each takes a connection now and then. Twice what a
    # provider is asked at once, so that the next is written down while others are with the provider.
    collection_concurrency: int = Field(default=40, ge=1, le=200)

    # Where backups go: the database's log as it is written, and a base backup a day. None keeps none.
    backup_dir: Path | None = None
    backup_key_file: Path | None = (
        None  # 64 hexadecimal digits or a passphrase; backups are encrypted with it
    )
    backup_keep: int = Field(default=7, ge=1, le=1_000)  # base backups; the log goes back to the oldest

    # Files go to this bucket of an S3 server instead of the data folder; the four belong together.
    s3_bucket: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")
    s3_endpoint: Annotated[str, AfterValidator(_url_or_none)] = ""  # https://s3.eu-central-1.amazonaws.com
    s3_region: str = "us-east-1"
    s3_access_key: str = ""
    s3_secret_key: SecretStr | None = None
    # All files of one organisation together; see services/files/service.py.
    organization_files_mb: int = Field(default=20_480, ge=1)

    # Where the European Union's register of tax numbers is asked; empty: nowhere, and staff says what it found.
    vies_url: Annotated[str, AfterValidator(_url_or_none)] = (
        "https://ec.europa.eu/taxation_customs/vies/rest-api"
    )

    # Within so many days staff answers what a customer contests of an invoice.
    contest_answer_days: int = Field(default=14, ge=1, le=90)

    # Where the next key that wraps data keys is kept: see docs/decisions/0044-keys-of-others.md. What reaches the other
    # places is used as long as the file of keys names one there.
    keys: Literal["file", "aws-kms", "pkcs11"] = "file"
    kms_key: str = ""  # ARN, id or alias of a symmetric key
    kms_region: str = "us-east-1"
    kms_endpoint: Annotated[str, AfterValidator(_url_or_none)] = ""  # AWS's own in that region
    kms_access_key: str = ""  # may encrypt and decrypt with that key, and nothing else
    kms_secret_key: SecretStr | None = None
    pkcs11_module: str = ""  # path of the library that speaks to the hardware
    pkcs11_token: str = ""  # label of the token in it
    pkcs11_key: str = ""  # label of an AES key in that
    pkcs11_pin: SecretStr | None = None

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    otel_endpoint: AnyHttpUrl | None = None  # an OTLP/HTTP collector; none switches tracing off
    worker_metrics_port: int | None = Field(
        default=None, ge=1, le=65_535
    )  # the worker's own /metrics, on 127.0.0.1
    metrics_token: SecretStr | None = None  # bearer that /metrics asks for when it is set

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {"MATRIX_PUBLIC_URL": self.public_url, "MATRIX_SMTP_URL": self.smtp_url}
        missing = [name for name, value in needed.items() if not value]
        if self.mode == "production" and missing:
            raise ValueError(
                f"MATRIX_MODE is production, which needs {' and '.join(missing)}: "
                "sign-up confirms addresses by mail, with links to the address people use."
            )
        # The model is frozen for its readers; only here, while it is made, are the derived values filled in.
        if not self.public_url:
            object.__setattr__(self, "public_url", f"http://localhost:{self.port}")
        object.__setattr__(self, "data_dir", self.data_dir.expanduser().absolute())
        if self.postgres_bin is not None:
            object.__setattr__(self, "postgres_bin", self.postgres_bin.expanduser().absolute())
        self._require_backup_key()
        self._require_whole_bucket()
        self._require_reachable_keys()
        return self

    def _require_whole_bucket(self) -> None:
        given = {
            "MATRIX_S3_BUCKET": self.s3_bucket,
            "MATRIX_S3_ENDPOINT": self.s3_endpoint,
            "MATRIX_S3_ACCESS_KEY": self.s3_access_key,
            "MATRIX_S3_SECRET_KEY": self.s3_secret_key,
        }
        missing = [name for name, value in given.items() if not value]
        if 0 < len(missing) < len(given):
            raise ValueError(f"A bucket for files also needs {' and '.join(missing)}.")

    def _require_reachable_keys(self) -> None:
        needed = {
            "aws-kms": {
                "MATRIX_KMS_KEY": self.kms_key,
                "MATRIX_KMS_ACCESS_KEY": self.kms_access_key,
                "MATRIX_KMS_SECRET_KEY": self.kms_secret_key,
            },
            "pkcs11": {
                "MATRIX_PKCS11_MODULE": self.pkcs11_module,
                "MATRIX_PKCS11_TOKEN": self.pkcs11_token,
                "MATRIX_PKCS11_KEY": self.pkcs11_key,
                "MATRIX_PKCS11_PIN": self.pkcs11_pin,
            },
        }.get(self.keys, {})
        if missing := [name for name, value in needed.items() if not value]:
            raise ValueError(f"MATRIX_KEYS is {self.keys}, which needs {' and '.join(missing)}.")

    def _require_backup_key(self) -> None:
        for name in ("backup_dir", "backup_key_file"):
            path: Path | None = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, path.expanduser().absolute())
        if self.backup_dir is None:
            return
        if self.backup_key_file is None:
            raise ValueError(
                "MATRIX_BACKUP_KEY_FILE is required when MATRIX_BACKUP_DIR is set: backups are encrypted."
            )
        if self.backup_key_file.is_relative_to(self.backup_dir):
            raise ValueError(
                "MATRIX_BACKUP_KEY_FILE must not lie in MATRIX_BACKUP_DIR: a lock without a key."
            )

    @property
    def origins(self) -> frozenset[str]:
        """Origins that browsers may call from: our own, and those named."""
        own = {self.public_url, f"http://localhost:{self.port}", f"http://127.0.0.1:{self.port}"}
        return frozenset(own | set(self.allowed_origins))

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https://")


class UnknownSetting(Refused):
    """A variable looks like a setting and is none: most likely somebody believes that it does something."""


# Not ours, and no mistake: the key in our own examples, and what Kubernetes and Docker tell each container about
# services whose names begin with `matrix`.
_OTHERS = re.compile(
    r"API_KEY|.+_SERVICE_(HOST|PORT)(_\w+)?|(.+_)?PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?"
)
_LINK = re.compile(r"(tcp|udp|sctp)://")


def require_known(environment: Mapping[str, str]) -> None:
    """Raises UnknownSetting, which names the variable and the nearest that exists, and no value."""
    known = {name.upper() for name in Settings.model_fields}
    for variable in sorted(environment):
        name = variable.upper().removeprefix(PREFIX)
        if not variable.upper().startswith(PREFIX) or name in known:
            continue
        if _OTHERS.fullmatch(name) or _LINK.match(environment[variable]):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {PREFIX}{near[0]}? Correct it" if near else "remove it"
        raise UnknownSetting(
            f"There is no setting {PREFIX}{name}: {meant}; docs/operations.md lists them all."
        )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings. Raises pydantic's ValidationError, which names each wrong variable, or Refused."""
    require_known(os.environ)
    return Settings()
