"""The alert rules in deploy/ go by metrics that exist, and tell them apart by labels that those have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from services.core import metrics
from services.operations import alarms

RULES: list[dict[str, Any]] = [
    rule
    for path in sorted((Path(__file__).parents[2] / "deploy/prometheus").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
ADDED = {"le", "instance"}  # by the format, and by whoever scrapes


def exposed() -> dict[str, set[str]]:
    """Labels by the name of each series that a web process has."""
    found = {name: {label} - {""} for name, (_, label) in alarms.METRICS.items()}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(
                family.type, ("",)
            )
            found |= {f"{family.name}{ending}": set(metric._labelnames) for ending in endings}
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_goes_by_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\bmatrix_\w+", rule["expr"]))
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", rule["expr"]))
    labels |= {one.strip() for by in re.findall(r"\bby\s*\(([^)]*)\)", rule["expr"]) for one in by.split(",")}
    labels |= set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))

    assert named
    assert named <= exposed().keys()
    assert labels <= ADDED.union(*(exposed()[name] for name in named))
    assert rule["labels"]["severity"] in ("page", "ticket")


def test_whatever_is_read_from_the_database_has_a_rule_or_needs_none() -> None:
    asked = " ".join(rule["expr"] for rule in RULES)

    assert {name for name in alarms.METRICS if name not in asked} == {"matrix_queue_waiting"}
