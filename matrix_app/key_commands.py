"""The command for the keys that secrets are sealed with: who runs the installation looks at them, and rotates."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator

from services.core import key_file, key_rotation, keyring, runtime
from services.core.database import Database
from services.core.key_service import kept_by
from services.core.settings import Settings

SHOW, PREPARE = "show", "prepare"  # else: rotate


async def do(chosen: Settings, act: str) -> None:
    """Print what is there or what is done, line by line as it happens. Raises Refused and MatrixError."""
    # What is there has to be told above all while the keys cannot be opened.
    on = runtime.without_vault(chosen, "keys") if act == SHOW else await runtime.start(chosen, "keys")
    try:
        async for line in _lines(on, chosen, act):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    finally:
        await runtime.stop()


async def _lines(on: Database, chosen: Settings, act: str) -> AsyncGenerator[str]:
    path, kept = key_file.path_in(chosen.data_dir), kept_by(chosen)
    if act == SHOW:
        await keyring.require_same(on, chosen.data_dir)
        for one in await key_rotation.standing(on, path, kept):
            yield f"{one.key_id or '(others)':<18} {one.use:<9} {one.values:>12,} values"
            if one.fault:
                yield f"{'':<18} cannot be used: {one.fault}"
        return
    steps = key_rotation.prepare if act == PREPARE else key_rotation.rotate
    async for said in steps(on, path, kept):
        yield said
