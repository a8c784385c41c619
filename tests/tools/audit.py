"""Look up known vulnerabilities of the locked packages: `python -m tests.tools.audit [--strict]`.

What is known changes from day to day, and the locks do not. A check that judges a change must say the same tomorrow,
and an old release must still pass its own tests; so `make check` tells what it finds and goes on. `make audit` is
strict: it fails when a locked version is vulnerable and a fixed one is there to be locked. `make lock` ends with it,
where somebody is at work on just that, and a job that runs every night should call it. What nobody has fixed yet is
told and fails nothing, and neither does being offline: neither is a fault that a change could mend.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

# Each set is installed into a folder of its own, and may lock another version of a package than another set does.
SETS = (
    (
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-model.txt",
        "requirements-uv.txt",
        "requirements-pkcs11.txt",
    ),
    ("tests/fakes/kms/requirements.txt",),
)
OFFLINE = (
    "ConnectionError",
    "Max retries exceeded",
    "ServiceError",
    "ConnectionRefused",
    "Name or service not known",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One advisory against one locked package. `fixed_in` is empty while no version is better."""

    package: str
    advisory: str
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        fix = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed yet"
        return f"{self.package}: {self.advisory}, {fix}"


def main(*, strict: bool) -> int:
    """0 when there is nothing to be done, or nobody could be asked."""
    packages: list[dict[str, Any]] = []
    for locks in SETS:
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--disable-pip",
            "--no-deps",
            "--progress-spinner",
            "off",
        ]
        command += ["--format", "json", *(part for lock in locks for part in ("-r", lock))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.stdout.startswith("{"):
            packages += json.loads(done.stdout)["dependencies"]
        elif any(sign in done.stderr for sign in OFFLINE):
            print("Not checked for known vulnerabilities: the advisory service cannot be reached from here.")
            return 0
        else:
            print(done.stdout, done.stderr, sep="\n")
            return 1
    return judge(packages, strict=strict)


def judge(packages: list[dict[str, Any]], *, strict: bool) -> int:
    """Tell what pip-audit says of each package; 1 if `strict` and something can be done about it."""
    # An index that hands on packages and no advisories makes pip-audit skip them all, and find nothing.
    asked = [package for package in packages if "skip_reason" not in package]
    if len(asked) < len(packages):
        print(
            f"{len(packages) - len(asked)} of {len(packages)} locked packages could not be looked up from here."
        )
    found = _findings(asked)
    if not found:
        print(f"No known vulnerabilities in the {len(asked)} locked packages that were looked up.")
        return 0
    print("Known vulnerabilities in the locked packages:", *found, sep="\n  ")
    if not any(finding.fixed_in for finding in found):
        return 0
    print("`make lock U=1` locks the fixed versions, as far as requirements*.in allow.")
    return 1 if strict else 0


def _findings(packages: list[dict[str, Any]]) -> list[Finding]:
    found: list[Finding] = []
    for package in packages:
        for advisory in package["vulns"]:
            aliases = f" ({', '.join(advisory['aliases'])})" if advisory["aliases"] else ""
            name = f"{package['name']} {package['version']}"
            found.append(Finding(name, advisory["id"] + aliases, tuple(advisory["fix_versions"])))
    return found


if __name__ == "__main__":
    sys.exit(main(strict="--strict" in sys.argv[1:]))
