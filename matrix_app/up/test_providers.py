"""The test providers that run beside the demo: a Stripe and a PayPal that take play money, and a chain of play coins.

They are a part of the tests and so of a checkout; an installed package has none, and the demo does without.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from matrix_app.up.preflight import free_loopback_port
from matrix_app.up.reflex_environment import ROOT
from matrix_app.up.supervisor import Child
from services.core.settings import Settings
from services.core.tether import tied
from services.demo.test_provider_names import FOLDER, KEYS, NAMES

PORTS = "ports.json"
PROGRAMS = {"stripe": "tests.fakes.stripe", "paypal": "tests.fakes.paypal", "crypto": "tests.fakes.anvil"}
INSTALL_CHAIN_TIMEOUT_S = 120


def addresses(settings: Settings) -> dict[str, str]:
    """Where each is to be, by name: where it was before, unless somebody else is there now. Empty where there are
    none: in production, and without a checkout."""
    if settings.mode != "demo" or not all(_program(name).exists() for name in NAMES):
        return {}
    kept = settings.data_dir / FOLDER / PORTS
    before = _read(kept)
    ports = {name: _free(before.get(name, 0)) for name in NAMES}
    if ports != before:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(ports))
    return {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


def cannot_have_chain() -> str:
    """Installs the node that the test chain is, where that has not been done. Empty, or why there is none."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.tools.anvil"],
            cwd=ROOT,
            env=os.environ | {"NPM_CONFIG_FETCH_RETRIES": "0"},  # whoever is off line does not wait for long
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_CHAIN_TIMEOUT_S,
            preexec_fn=tied(signal.SIGTERM),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it was not installed within {INSTALL_CHAIN_TIMEOUT_S} s."
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


def places(providers: dict[str, str]) -> list[str]:
    """The `host:port` pairs that may be private."""
    return [base.removeprefix("http://") for base in providers.values()]


def children(settings: Settings, providers: dict[str, str]) -> Iterator[Child]:
    for name, base in providers.items():
        state = settings.data_dir / FOLDER / name
        state.mkdir(parents=True, exist_ok=True)
        port = base.rpartition(":")[2]
        command = [sys.executable, "-m", PROGRAMS[name], "--port", port, "--state", state]
        if name in KEYS:
            command += ["--key", KEYS[name]]
        yield Child(f"test-{name}", command, settings.data_dir / "logs" / f"test-{name}.log")


def announced(providers: dict[str, str]) -> str:
    """A line for whoever starts it."""
    where = ", ".join(f"{base}/_control ({NAMES[name]})" for name, base in providers.items())
    return f"Invoices are paid with play money. Play bank at {where}.\n"


def _program(name: str) -> Path:
    return ROOT.joinpath(*PROGRAMS[name].split("."), "__main__.py")


def _read(kept: Path) -> dict[str, int]:
    try:
        return {str(name): int(port) for name, port in json.loads(kept.read_text()).items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def _free(port: int) -> int:
    """`port`, if nobody listens there; else another one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return free_loopback_port()
        return port or free_loopback_port()
