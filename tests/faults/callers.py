"""Callers of the gateway who write down what they got, whatever happens to the product meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any

import aiohttp
import orjson

from tests.bench.stub import MODEL, PROMPT_BASE

CALLERS = 8
STREAMED, HANGING_UP = 0.5, 0.2  # shares of all calls, and of those that stream
TOKENS_MAX = 24
PAUSE_AFTER_TROUBLE_S = 0.05
WAIT_S = 180.0  # what a killed worker had taken is taken over after half a minute, and tried anew after more


class Outcome(StrEnum):
    WHOLE = "whole"  # the answer came to its end, with its usage
    HUNG_UP = "hung up"  # we left after `tokens` pieces of a stream
    REFUSED = "refused"  # an error in the shape of the API
    LOST = "lost"  # the connection broke, perhaps after `tokens` pieces


@dataclass(frozen=True, slots=True)
class Seen:
    """One call as its caller saw it. `tokens` of the answer reached us."""

    number: int
    streamed: bool
    asked: int
    outcome: Outcome
    tokens: int
    status: int = 0
    code: str = ""


class Callers:
    """A steady crowd. `async with` starts it and, at the end, lets calls under way finish."""

    def __init__(self, address: str, key: str, seed: int) -> None:
        self.seen: list[Seen] = []
        self._address = address
        self._key = key
        self._chance = random.Random(seed)
        self._numbers = 0
        self._leaving = False
        self._progress = asyncio.Event()

    async def __aenter__(self) -> Callers:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=30),
        )
        self._tasks = [asyncio.create_task(self._call_on()) for _ in range(CALLERS)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def more(self, count: int, outcome: Outcome = Outcome.WHOLE) -> None:
        """Wait until `count` more calls have ended so. Raises TimeoutError."""
        wanted = self.count(outcome) + count
        async with asyncio.timeout(WAIT_S):
            while self.count(outcome) < wanted:
                self._progress.clear()
                await self._progress.wait()

    def count(self, outcome: Outcome) -> int:
        return sum(one.outcome is outcome for one in self.seen)

    async def _call_on(self) -> None:
        while not self._leaving:
            seen = await self._call()
            self.seen.append(seen)
            self._progress.set()
            if seen.outcome in (Outcome.LOST, Outcome.REFUSED):
                await asyncio.sleep(PAUSE_AFTER_TROUBLE_S)

    async def _call(self) -> Seen:
        self._numbers += 1
        number, asked = self._numbers, self._chance.randint(2, TOKENS_MAX)
        streamed = self._chance.random() < STREAMED
        leave_after = self._chance.randint(1, asked - 1) if self._chance.random() < HANGING_UP else None
        received = _Received()

        def seen(outcome: Outcome, **rest: Any) -> Seen:
            return Seen(number, streamed, asked, outcome, received.tokens, **rest)

        try:
            async with self._post(number, asked, streamed) as answer:
                if answer.status != 200:
                    code = orjson.loads(await answer.read())["error"]["code"]
                    return seen(Outcome.REFUSED, status=answer.status, code=code)
                if not streamed:
                    received.take_answer(orjson.loads(await answer.read()), number)
                    return seen(Outcome.WHOLE)
                async for line in answer.content:
                    received.take_line(line)
                    if leave_after is not None and received.tokens >= leave_after:
                        answer.close()
                        return seen(Outcome.HUNG_UP)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return seen(Outcome.LOST)
        if received.error:
            return seen(Outcome.REFUSED, code=received.error)
        return seen(Outcome.WHOLE if received.done else Outcome.LOST)

    def _post(self, number: int, asked: int, streamed: bool) -> Any:
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": f"Call {number}."}],
            "max_tokens": asked,
            "stream": streamed,
        }
        return self._session.post(f"{self._address}/v1/chat/completions", data=orjson.dumps(body))


@dataclass(slots=True)
class _Received:
    """What has come of one answer."""

    tokens: int = 0
    done: bool = False
    error: str = ""

    def take_answer(self, answer: dict[str, Any], number: int) -> None:
        if answer["usage"]["prompt_tokens"] != PROMPT_BASE + number:
            raise AssertionError(f"Call {number} was given the answer of another: {answer['usage']}.")
        self.tokens = answer["usage"]["completion_tokens"]

    def take_line(self, line: bytes) -> None:
        if not line.startswith(b"data: "):
            return
        data = line[6:].strip()
        if data == b"[DONE]":
            self.done = True
            return
        event = orjson.loads(data)
        if "error" in event:
            self.error = event["error"]["code"]
            return
        self.tokens += sum(bool(choice["delta"].get("content")) for choice in event["choices"])


async def until(holds: Callable[[], Any], what: str, *, timeout_s: float = WAIT_S) -> None:
    """Wait until `holds()`, which may be a coroutine function. Raises TimeoutError naming `what`."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        held = holds()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"After {timeout_s:g} s it does not hold that {what}.")
        await asyncio.sleep(0.05)


async def until_none(lacking: Callable[[], Awaitable[list[str]]], *, timeout_s: float = WAIT_S) -> None:
    """Wait until `lacking()` names nothing any more. Raises TimeoutError with what it names last."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while named := await lacking():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"After {timeout_s:g} s: {'; '.join(named)}")
        await asyncio.sleep(0.05)
