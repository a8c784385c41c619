"""The command for the keys that secrets are sealed with: who runs the installation looks at them, and rotates."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator

from services.core import key_file, key_rotation, runtime
from services.core.database import Database
from services.core.key_service import kept_by
from services.core.settings import Settings

SHOW, PREPARE = "show", "prepare"  # else: rotate


async def do(chosen: Settings, act: str) -> None:
    """Print what is there or what is done, line by line as it happens. Raises Refused and MatrixError."""
    on = await runtime.start(chosen, "keys")
    try:
        async for line in _lines(on, chosen, act):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    finally:
        await runtime.stop()


async def _lines(on: Database, chosen: Settings, act: str) -> AsyncGenerator[str]:
    path, kept = key_file.path_in(chosen.data_dir), kept_by(chosen)
    if act == SHOW:
        for key_id, use, values in await key_rotation.standing(on, path):
            yield f"{key_id or '(others)':<18} {use:<9} {values:>12,} values"
        return
    steps = key_rotation.prepare if act == PREPARE else key_rotation.rotate
    async for said in steps(on, path, kept):
        yield said
