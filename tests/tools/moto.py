"""Install moto, the KMS that keys are tested on, from its lock into a folder of its own: it needs an older library than
the product does."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "fakes" / "kms" / "requirements.txt"
HOME = Path(sys.prefix) / "moto"  # goes with the other packages, and is made anew with them
INSTALL_TIMEOUT_S = 300


class CannotInstall(RuntimeError):
    """Says what is missing."""


def packages() -> Path:
    """The folder to import from, after installing if that has not been done. Raises CannotInstall."""
    stamp, wanted = HOME / "installed", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("a") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text() == wanted):
            shutil.rmtree(HOME / "packages", ignore_errors=True)
            _install(HOME / "packages")
            stamp.write_text(wanted)
    return HOME / "packages"


def _install(folder: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder)]
    command += ["--require-hashes", "-r", str(LOCK)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstall(f"The tests of keys need moto, and uv could not be run: {error}.") from error
    if done.returncode != 0:
        raise CannotInstall(
            "The tests of keys need moto, and uv could not install it. Is the package registry reachable?\n"
            + done.stderr.strip()
        )


def main() -> int:
    """0 when it is there now."""
    try:
        packages()
    except CannotInstall as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
