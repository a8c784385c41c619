"""Look up known vulnerabilities of the locked packages: `python -m tests.tools.audit [--strict]`.

Python packages are those of the requirements, npm's those of the pages. Strict, it fails when a locked version is
vulnerable and a fixed one is there to be locked: so do `make check`, by which a change is judged, `make audit`, and
`make lock`, where somebody is at work on just that. `make test` only tells: it proves a release, and must say of an old
one tomorrow what it says today. What nobody has fixed yet is told and fails nothing. Nor does a service that cannot be
asked, or knows nothing of what is locked: but that is no good news, and a WARNING says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NPM_LOCK = ROOT / "reflex.lock"
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


class NoNews(Exception):
    """Advisories cannot be had; the text says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One advisory against one locked package. `fix` says where it is mended; empty while it is nowhere."""

    package: str
    advisory: str
    fix: str

    def __str__(self) -> str:
        return f"{self.package}: {self.advisory}, {self.fix or 'not fixed yet'}"


@dataclass(frozen=True, slots=True)
class News:
    """What is known of the locked packages of one kind. `asked` of them could be looked up, `skipped` could not."""

    asked: int
    skipped: int
    found: tuple[Finding, ...]
    cure: str  # the command that locks what is fixed


def main(*, strict: bool) -> int:
    """0 when there is nothing to be done, or nobody could be asked."""
    asking: dict[str, Callable[[], News]] = {"Python": of_python, "npm": of_npm}
    return max([judge(kind, ask, strict=strict) for kind, ask in asking.items()])


def judge(kind: str, ask: Callable[[], News], *, strict: bool) -> int:
    """Tell what `ask` learns; 1 if `strict` and something can be done about it."""
    try:
        news = ask()
    except NoNews as reason:
        print(f"WARNING: {kind} packages were not checked for known vulnerabilities: {reason}")
        return 0
    if news.skipped:
        print(
            f"WARNING: {news.skipped} of {news.asked + news.skipped} {kind} packages could not be looked up from here."
        )
    if not news.found:
        if news.asked:
            print(f"No known vulnerabilities in the {news.asked} {kind} packages that were looked up.")
        return 0
    print(f"Known vulnerabilities in the locked {kind} packages:", *news.found, sep="\n  ")
    if not any(finding.fix for finding in news.found):
        return 0
    print(news.cure)
    return 1 if strict else 0


def of_python() -> News:
    """What pip-audit learns of the requirements. Raises NoNews."""
    packages: list[dict[str, Any]] = []
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    for locks in SETS:
        done = _run([*command, "--format", "json", *(part for lock in locks for part in ("-r", lock))], ROOT)
        if done.stdout.startswith("{"):
            packages += json.loads(done.stdout)["dependencies"]
        elif any(sign in done.stderr for sign in OFFLINE):
            raise NoNews("the advisory service cannot be reached from here.")
        else:
            raise SystemExit(f"{done.stdout}\n{done.stderr}")
    return python_news(packages)


def python_news(packages: list[dict[str, Any]]) -> News:
    """What a report of pip-audit says."""
    # An index that hands on packages and no advisories makes pip-audit skip them all, and find nothing.
    asked = [package for package in packages if "skip_reason" not in package]
    found: list[Finding] = []
    for package in asked:
        for advisory in package["vulns"]:
            aliases = f" ({', '.join(advisory['aliases'])})" if advisory["aliases"] else ""
            fixed = ", ".join(advisory["fix_versions"])
            name = f"{package['name']} {package['version']}"
            found.append(Finding(name, advisory["id"] + aliases, f"fixed in {fixed}" if fixed else ""))
    cure = "`make lock U=1` locks the fixed versions, as far as requirements*.in allow."
    return News(len(asked), len(packages) - len(asked), tuple(found), cure)


def of_npm() -> News:
    """What npm learns of the pages' packages from the registry it is set up with. Raises NoNews."""
    done = _run(
        [str(Path(sys.executable).with_name("npm")), "audit", "--package-lock-only", "--json"], NPM_LOCK
    )
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise SystemExit(f"{done.stdout}\n{done.stderr}") from error
    return npm_news(report)


def npm_news(report: dict[str, Any]) -> News:
    """What a report of `npm audit` says. Raises NoNews for one that says why there is none."""
    if "vulnerabilities" not in report:
        raise NoNews(
            report.get("message") or report.get("error", {}).get("summary") or "npm does not say why."
        )
    found = [
        Finding(
            f"{one['name']} {one['range']}",
            f"{via['url']} ({via['title']})",
            "a fixed version is there" if one["fixAvailable"] else "",
        )
        for one in report["vulnerabilities"].values()
        for via in one["via"]
        if isinstance(via, dict)  # a text names another entry, by which this one is affected
    ]
    cure = "Delete reflex.lock/package-lock.json and `matrix build`: the newest versions that are asked for are locked."
    return News(report["metadata"]["dependencies"]["total"], 0, tuple(found), cure)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(strict="--strict" in sys.argv[1:]))
