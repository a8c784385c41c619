"""Settings, read once from `MATRIX_*` variables and validated before anything starts."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PER_MINUTE_MAX = 1_000_000_000  # leases of limits are 32-bit numbers


class Settings(BaseSettings):
    """Everything an operator may choose. Secrets are `SecretStr`, so that printing settings shows stars."""

    model_config = SettingsConfigDict(env_prefix="MATRIX_", env_file=None, extra="ignore", frozen=True)

    mode: Literal["demo", "production"] = "demo"
    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65_535)
    data_dir: Path = Path("data")
    public_url: str = ""
    allowed_origins: list[str] = []
    # How long a process that was asked to end still takes new callers while /readyz says that it leaves.
    drain_notice_s: float = Field(default=0, ge=0, le=60)
    trusted_proxy_hops: int = Field(default=0, ge=0, le=8)

    database_url: SecretStr | None = None  # owner of the tables; none means the embedded server
    database_app_url: SecretStr | None = None  # role matrix_app; by default the owner's URL with SET ROLE
    postgres_bin: Path | None = (
        None  # a folder with initdb and postgres for the embedded server, if not the wheel's
    )
    pool_size: int = Field(default=12, ge=2, le=200)

    smtp_url: SecretStr | None = None  # smtp://user:password@host:587 ; required in production
    mail_from: str = "Matrix <no-reply@localhost>"

    model_url: str = ""  # where the built-in model server answers; set by `matrix up`
    # One core is left to everybody else: llama.cpp's threads wait for each other in a loop, and when they share
    # cores with other work two of them were measured five times slower than one.
    model_threads: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) - 1), ge=1, le=256)

    # Upstreams may live inside only at these host:port pairs; see services/core/outgoing.py.
    allow_private_upstreams: list[str] = []
    # What one organisation may ask of the gateway with all its keys; keys may be limited further.
    organization_requests_per_minute: int = Field(default=30_000, ge=1, le=PER_MINUTE_MAX)
    organization_tokens_per_minute: int = Field(default=10_000_000, ge=1, le=PER_MINUTE_MAX)

    # Where backups go: the database's log as it is written, and a base backup a day. None keeps none.
    backup_dir: Path | None = None
    backup_key_file: Path | None = (
        None  # 64 hexadecimal digits or a passphrase; backups are encrypted with it
    )
    backup_keep: int = Field(default=7, ge=1, le=1_000)  # base backups; the log goes back to the oldest

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    otel_endpoint: AnyHttpUrl | None = None  # an OTLP/HTTP collector; none switches tracing off
    worker_metrics_port: int | None = Field(
        default=None, ge=1, le=65_535
    )  # the worker's own /metrics, on 127.0.0.1
    metrics_token: SecretStr | None = None  # bearer that /metrics asks for when it is set

    @model_validator(mode="after")
    def _complete(self) -> Self:
        # The model is frozen for its readers; only here, while it is made, are the derived values filled in.
        if not self.public_url:
            object.__setattr__(self, "public_url", f"http://localhost:{self.port}")
        object.__setattr__(self, "public_url", self.public_url.rstrip("/"))
        object.__setattr__(self, "data_dir", self.data_dir.expanduser().absolute())
        if "*" in self.allowed_origins:
            raise ValueError(
                "MATRIX_ALLOWED_ORIGINS must name origins; '*' would let any site act for a signed-in person."
            )
        if self.mode == "production" and self.smtp_url is None:
            raise ValueError(
                "MATRIX_SMTP_URL is required when MATRIX_MODE is production: sign-up confirms addresses by mail."
            )
        self._require_backup_key()
        return self

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
        return frozenset(own | {origin.rstrip("/") for origin in self.allowed_origins})

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https://")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings. Raises pydantic's ValidationError, which names each wrong variable."""
    return Settings()
