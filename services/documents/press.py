"""Sets documents in a process beside this one, so that no page waits for it and no document takes more than its share.

The process starts with the first document, is ended when one takes too long or its caller gives up, and is
replaced now and then, because a typesetter remembers what it has set.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sys
from pathlib import Path
from typing import Any

import orjson

from services.core.errors import Unavailable
from services.core.tether import tied
from services.documents import storage
from services.documents.content import Content
from services.documents.press_work import LENGTH
from services.documents.render import PDF_BYTES_MAX, Made
from services.documents.style import Style
from services.documents.text import DocumentRefused

SET_S_MAX = 90  # 5,000 lines take about 10
WAITING_MAX = 32
DOCUMENTS_PER_PROCESS_MAX = 200
FILES_MAX = 1_000
_ROOT = Path(__file__).parents[2]
_BROKEN = (asyncio.IncompleteReadError, ConnectionError, BrokenPipeError)


class PressUnavailable(Unavailable):
    """Documents cannot be set at the moment, or this one takes too much time or memory."""

    code = "press_unavailable"
    title = "The document cannot be made at the moment"

    def __init__(self, message: str) -> None:
        super().__init__(message, next_step="Try again in a minute.")


class Press:
    """One document at a time; up to WAITING_MAX callers wait. Belongs to the event loop that uses it first."""

    def __init__(self, *, set_s_max: int | float = SET_S_MAX) -> None:
        self._set_s_max = set_s_max
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._made = 0

    async def pdf(self, content: Content, style: Style) -> Made:
        """Raises DocumentRefused and PressUnavailable."""
        head, [pdf] = await self._ordered("pdf", content, style)
        return Made(pdf, hashlib.sha256(pdf).hexdigest(), tuple(head["missing"]))

    async def pictures(self, content: Content, style: Style) -> list[bytes]:
        """Each page as PNG. Raises DocumentRefused and PressUnavailable."""
        return (await self._ordered("pictures", content, style))[1]

    async def tables(self, told: bytes) -> bytes:
        """A PDF of tables, as tables.py says what `told` is. Raises DocumentRefused and PressUnavailable."""
        return (await self._asked_for([b"tables", told, b""]))[1][0]

    async def close(self) -> None:
        """Nothing is set any more; what is being set is given up."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ordered(self, kind: str, content: Content, style: Style) -> tuple[dict[str, Any], list[bytes]]:
        return await self._asked_for(
            [kind.encode(), storage.content_to_json(content), storage.style_to_json(style)]
        )

    async def _asked_for(self, order: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        if self._waiting >= WAITING_MAX:
            raise PressUnavailable("Too many documents are waiting to be made.")
        self._waiting += 1
        try:
            async with self._turn:
                head, files = await self._exchanged(order)
        finally:
            self._waiting -= 1
        if refused := head.get("refused"):
            raise DocumentRefused(refused["message"], field=refused["field"], next_step=refused["next_step"])
        return head, files

    async def _exchanged(self, order: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """Whatever goes wrong between order and answer ends the process: the next order would get this answer."""
        try:
            async with asyncio.timeout(self._set_s_max):
                answer = await self._asked(await self._running(), order)
        except TimeoutError:
            await self.close()
            raise PressUnavailable(f"The document took more than {self._set_s_max} seconds.") from None
        except _BROKEN as broken:
            await self.close()
            raise PressUnavailable("The process that makes documents ended.") from broken
        except BaseException:
            await self.close()
            raise
        self._made += 1
        if self._made >= DOCUMENTS_PER_PROCESS_MAX:
            await self.close()
        return answer

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._made = 0
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.documents.press_work",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=_ROOT,
                env={},
                preexec_fn=tied(),
            )
        return self._process

    async def _asked(
        self, process: asyncio.subprocess.Process, order: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        orders, answers = process.stdin, process.stdout
        if orders is None or answers is None:
            raise PressUnavailable("The process that makes documents cannot be reached.")
        for piece in order:
            orders.write(LENGTH.pack(len(piece)))
            orders.write(piece)
        await orders.drain()
        head: dict[str, Any] = orjson.loads(await _piece(answers))
        count = int(head["files"])
        if count > FILES_MAX:
            raise PressUnavailable("The process that makes documents answered with too much.")
        return head, [await _piece(answers) for _ in range(count)]


async def _piece(answers: asyncio.StreamReader) -> bytes:
    length: int = LENGTH.unpack(await answers.readexactly(LENGTH.size))[0]
    if length > PDF_BYTES_MAX:
        raise PressUnavailable("The process that makes documents answered with too much.")
    return await answers.readexactly(length)
