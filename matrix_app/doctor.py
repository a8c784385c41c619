"""`matrix doctor`: the checks of services/operations/doctor.py from outside the running processes."""

from __future__ import annotations

import json
from dataclasses import asdict

from services.core import database, logs, runtime
from services.core.actor import system
from services.core.settings import Settings
from services.operations.doctor import Finding, Health, examine


async def diagnose(settings: Settings) -> list[Finding]:
    """Look at the installation of these settings. Starts nothing and makes nothing that is not there."""
    logs.configure("error", settings.log_format, "doctor")
    on = database.connect(runtime.urls(settings)[1], pool_size=2)
    try:
        return await examine(system(), settings, on)
    finally:
        await on.close()


def failures(findings: list[Finding]) -> int:
    return sum(finding.health is Health.FAILED for finding in findings)


def as_json(findings: list[Finding]) -> str:
    return json.dumps({"failed": failures(findings), "findings": [asdict(one) for one in findings]}, indent=2)


def as_text(findings: list[Finding]) -> str:
    """One line a check, and below it what to do."""
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.id} {finding.health.value:<8} {finding.name:<15} {finding.detail}")
        if finding.next_step:
            lines.append(f"{'':<30}{finding.next_step}")
    return "\n".join(lines)
