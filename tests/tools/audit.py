"""Look up known vulnerabilities of the locked packages. Being offline is said, and is no failure of the code."""

import subprocess
import sys

LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-model.txt", "requirements-uv.txt")
OFFLINE = (
    "ConnectionError",
    "Max retries exceeded",
    "ServiceError",
    "ConnectionRefused",
    "Name or service not known",
)


def main() -> int:
    """0 when nothing is known against what is locked, or nobody could be asked."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    command += [part for lock in LOCKS for part in ("-r", lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        print("No known vulnerabilities in the locked packages.")
        return 0
    if any(sign in done.stderr for sign in OFFLINE):
        print("Not checked for known vulnerabilities: the advisory service cannot be reached from here.")
        return 0
    print(done.stdout, done.stderr, sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
