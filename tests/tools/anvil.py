"""Install anvil, a real node of Ethereum's kind that crypto payments are tested and shown on, from its locked npm
package."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "tests" / "fakes" / "anvil"
HOME = Path(sys.prefix) / "anvil"  # goes with the other packages, and is made anew with them
INSTALL_TIMEOUT_S = 300
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class CannotInstall(RuntimeError):
    """Says what is missing."""


def program() -> Path:
    """Where anvil is, after installing it if that has not been done. Raises CannotInstall."""
    here = f"{_SYSTEMS.get(platform.system(), '?')}-{_MACHINES.get(platform.machine(), '?')}"
    found = HOME / "node_modules" / "@foundry-rs" / f"anvil-{here}" / "bin" / "anvil"
    stamp, wanted = HOME / "installed", hashlib.sha256((LOCK / "package-lock.json").read_bytes()).hexdigest()
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("a") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text() == wanted and found.is_file()):
            _install()
            if not found.is_file():
                raise CannotInstall(f"anvil has no program for this machine ({here}).")
            stamp.write_text(wanted)
    return found


def _install() -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(LOCK / name, HOME / name)
    nodes = [
        str(Path(sys.executable).parent),
        os.environ.get("PATH", ""),
    ]  # the locked Node before the machine's
    # Its own script would look for another source where the registry does not answer: only what is locked may come.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command,
            cwd=HOME,
            env=os.environ | {"PATH": os.pathsep.join(nodes)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstall(
            f"anvil, the test chain, is not there, and npm could not be run: {error}."
        ) from error
    if done.returncode != 0:
        raise CannotInstall(
            "anvil, the test chain, is not there, and npm could not install it. Is the npm registry reachable?\n"
            + done.stderr.strip()
        )


def main() -> int:
    """0 when it is there now, and runs on this machine."""
    try:
        found = program()
        subprocess.run([found, "--version"], stdout=subprocess.DEVNULL, check=True)
    except CannotInstall as error:
        print(error)
        return 1
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"anvil, the test chain, does not run on this machine: {error}.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
