"""The process that sets documents: it gives what this process would give, and can be lost without harm."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.documents import render
from services.documents.press import Press, PressUnavailable
from services.documents.style import Style
from services.documents.text import DocumentRefused
from tests.documents import invoice, line


@asynccontextmanager
async def pressing(**how: float) -> AsyncIterator[Press]:
    press = Press(**how)
    try:
        yield press
    finally:
        await press.close()


def process_of(press: Press) -> asyncio.subprocess.Process:
    process = press._process
    assert process is not None
    return process


async def test_documents_come_out_as_they_would_here_and_refusals_keep_their_field() -> None:
    content = invoice()
    async with pressing() as press:
        first, second = await asyncio.gather(press.pdf(content, Style()), press.pdf(content, Style()))
        pages = await press.pictures(content, Style())
        with pytest.raises(DocumentRefused) as refused:
            await press.pictures(invoice((line(minor=1),) * 201), Style())

        assert first == second == render.pdf(content, Style())
        assert [page[:4] for page in pages] == [b"\x89PNG"]
        assert refused.value.field == "lines"
        assert process_of(press).returncode is None  # a refusal is no accident


async def test_a_press_that_is_killed_is_told_and_replaced() -> None:
    async with pressing() as press:
        made = await press.pdf(invoice(), Style())
        lost = process_of(press)
        os.kill(lost.pid, signal.SIGSTOP)  # so that it cannot answer before it is gone
        asked = asyncio.create_task(press.pdf(invoice(), Style()))
        await asyncio.sleep(0)
        os.kill(lost.pid, signal.SIGKILL)

        with pytest.raises(PressUnavailable):
            await asked

        assert await press.pdf(invoice(), Style()) == made
        assert process_of(press).pid != lost.pid


async def test_a_document_that_takes_too_long_or_is_not_wanted_ends_its_process() -> None:
    async with pressing(set_s_max=0) as impatient:
        with pytest.raises(PressUnavailable, match="took more than"):
            await impatient.pdf(invoice(), Style())

    async with pressing() as press:
        made = await press.pdf(invoice(), Style())
        process = process_of(press)
        os.kill(process.pid, signal.SIGSTOP)
        asked = asyncio.create_task(press.pdf(invoice(), Style()))
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

        assert process.returncode is not None
        assert await press.pdf(invoice(), Style()) == made
