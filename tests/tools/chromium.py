"""Find the system's Chromium for the browser tests; as root on a Debian, install it.

The shell without windows is preferred: it is the same engine for half the work.
"""

import os
import shutil
import subprocess
import sys

SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # as root Chromium has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# For tests, which open each page once and briefly: there what makes a page faster later costs more than it brings.
BRIEFLY = (
    "--js-flags=--no-opt --no-maglev",
    "--in-process-gpu",  # it draws by software anyway
)


def path() -> str | None:
    """The browser's program; None when there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def main() -> int:
    """0 when there is a browser now."""
    if path() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests ...", flush=True)
        _apt_get("update", "-qq")
        # Not every Debian has the shell as a package of its own.
        if not _apt_get("install", "-y", "-qq", "--no-install-recommends", SHELL):
            _apt_get("install", "-y", "-qq", "--no-install-recommends", "chromium")
    if path() is not None:
        return 0
    print(
        "The browser tests need Chromium: install it with your system's packages (Debian: apt-get install chromium)."
    )
    return 1


def _apt_get(*arguments: str) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *arguments], env=environment, stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
