"""Find the system's Chromium for the browser tests; as root on a Debian, install it."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # as root Chromium has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def path() -> str | None:
    """The browser's program; None when there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def main() -> int:
    """0 when there is a browser now."""
    if path() is not None:
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests ...", flush=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *arguments], env=environment, stdout=subprocess.DEVNULL, check=False)
    if path() is not None:
        return 0
    print(
        "The browser tests need Chromium: install it with your system's packages (Debian: apt-get install chromium)."
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
