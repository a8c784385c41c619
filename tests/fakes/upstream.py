"""A fake upstream: an OpenAI-compatible server in a program of its own, with fault switches.

    python -m tests.fakes.upstream [--port 0] [--log FILE]

prints the port it listens on. A model's name switches faults on, so tests that share one fake do not meet:
`model+fault=value+fault`. Faults: `delay=<s>` before the head, `pause=<s>` between pieces, `pieces=<n>`,
`status=<code>`, `cut=<n>` (break the connection after n pieces), `hang` (never answer), `nousage`, `context`,
`timings` (llama.cpp's running count in each piece), `garbage`, `errorchunk=<n>`, `nodone`, `length=<n>`,
`nullerror` (`"error": null` beside each answer), `early=<n>` (a usage of n tokens before the first piece, zero with
each), `tools` (calls a function instead of talking), `torn` (the body of a failure ends too soon), and `oops=choices`,
`oops=message`, `oops=deep` (an answer that is none).

What it served is appended to the log, one JSON object a line, when an answer begins and when it ends: the count
a test compares with ours. `GET /served` gives the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from services.core.tether import tie_to_parent

PIECES = 5


class Fake:
    def __init__(self, log: Path | None) -> None:
        self._log = log.open("a", buffering=1) if log else None
        self._served: list[dict[str, Any]] = []

    def note(self, **facts: Any) -> None:
        if self._log:
            self._log.write(json.dumps(facts) + "\n")
        self._served.append(facts)
        if len(self._served) > 10_000:
            del self._served[:5_000]

    async def served(self, _: web.Request) -> web.Response:
        return web.json_response(self._served)

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": []})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=True)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=False)

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        faults = faults_of(body["model"])
        if refused := await _fail(faults, request):
            return refused
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [
            {"object": "embedding", "index": n, "embedding": [0.25, -0.5, 1.0]} for n in range(len(inputs))
        ]
        usage = {"prompt_tokens": 3 * len(inputs), "total_tokens": 3 * len(inputs)}
        self.note(kind="end", model=body["model"], prompt=usage["prompt_tokens"], completion=0)
        return web.json_response({"object": "list", "model": body["model"], "data": data, "usage": usage})

    async def _answer(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        body = await request.json()
        faults = faults_of(body["model"])
        tag = _tag(body)
        heads = {name: request.headers.get(name, "") for name in ("authorization", "traceparent")}
        self.note(kind="begin", tag=tag, **heads, body=body)
        if refused := await _fail(faults, request):
            return refused
        pieces = min(int(faults.get("pieces", PIECES)), body.get("max_tokens") or 10**9)
        prompt = 7
        if body.get("stream"):
            return await self._stream(request, body, faults, chat=chat, pieces=pieces, prompt=prompt, tag=tag)
        usage = {"prompt_tokens": prompt, "completion_tokens": pieces, "total_tokens": prompt + pieces}
        text = "".join(f"w{n} " for n in range(pieces))
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        answer: dict[str, Any] = {
            "id": "fake-1",
            "object": "chat.completion" if chat else "text_completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
            "timings": {"predicted_n": pieces},
        }
        _spoil(answer, faults)
        self.note(kind="end", tag=tag, prompt=prompt, completion=pieces)
        return web.json_response(answer)

    async def _stream(
        self,
        request: web.Request,
        body: dict[str, Any],
        faults: dict[str, str],
        *,
        chat: bool,
        pieces: int,
        prompt: int,
        tag: str,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        sent = 0
        try:
            if "early" in faults:
                await response.write(_event(_chunk(body, faults, chat=chat, text="", made=0)))
            for n in range(pieces):
                if faults.get("cut") == str(n) and request.transport is not None:
                    request.transport.abort()
                    return response
                if faults.get("errorchunk") == str(n):
                    await response.write(b'data: {"error": {"message": "inside: 10.0.0.7 is on fire"}}\n\n')
                    return response
                if "garbage" in faults:
                    await response.write(b"data: {not json\n\n")
                    return response
                # Counted before it is sent, as a model has made a token before anybody has it.
                sent += 1
                await response.write(_event(_chunk(body, faults, chat=chat, text=f"w{n} ", made=sent)))
                if "pause" in faults:
                    await asyncio.sleep(float(faults["pause"]))
            await response.write(_event(_chunk(body, faults, chat=chat, text="", made=sent, finish="stop")))
            if body.get("stream_options", {}).get("include_usage") and "nousage" not in faults:
                usage = {"prompt_tokens": prompt, "completion_tokens": sent, "total_tokens": prompt + sent}
                last = {"id": "fake-1", "object": "chat.completion.chunk", "created": 1}
                await response.write(_event({**last, "model": body["model"], "choices": [], "usage": usage}))
            if "nodone" not in faults:
                await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        finally:
            self.note(kind="end", tag=tag, prompt=prompt, completion=sent)
        return response


def faults_of(model: str) -> dict[str, str]:
    _, *switches = model.split("+")
    return {name: value for name, _, value in (switch.partition("=") for switch in switches)}


def _tag(body: dict[str, Any]) -> str:
    """What a test calls its request: `user`, else nothing."""
    return str(body.get("user", ""))


def _spoil(answer: dict[str, Any], faults: dict[str, str]) -> None:
    """Make of a whole answer what the faults ask for."""
    if "nousage" in faults:
        del answer["usage"]
    if "early" in faults:
        answer["usage"]["completion_tokens"] = 0
    if "nullerror" in faults:
        answer["error"] = None
    if "tools" in faults:
        function = {"name": "look_up", "arguments": json.dumps({"words": "w" * 4_000})}
        call = {"id": "call_1", "type": "function", "function": function}
        answer["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
    match faults.get("oops"):
        case "choices":
            answer["choices"] = "oops"
        case "message":
            answer["choices"][0] = {"message": "oops"}
        case "deep":
            answer["choices"][0]["deep"] = json.loads("[" * 300 + "]" * 300)


async def _fail(faults: dict[str, str], request: web.Request) -> web.StreamResponse | None:
    if "hang" in faults:
        await asyncio.Event().wait()
    if "delay" in faults:
        await asyncio.sleep(float(faults["delay"]))
    if "context" in faults:
        error = {
            "code": 400,
            "type": "exceed_context_size_error",
            "message": "the request exceeds the available context size",
            "n_prompt_tokens": 3031,
            "n_ctx": 2048,
        }
        return web.json_response({"error": error}, status=400)
    if "torn" in faults:
        response = web.StreamResponse(status=500, headers={"Content-Length": "500"})
        await response.prepare(request)
        await response.write(b'{"error": ')
        if request.transport is not None:
            request.transport.abort()
        return response
    if "status" in faults:
        error = {"message": "the server at 10.0.0.7 says no", "type": "x", "param": None, "code": "x"}
        return web.json_response({"error": error}, status=int(faults["status"]))
    return None


def _chunk(
    body: dict[str, Any],
    faults: dict[str, str],
    *,
    chat: bool,
    text: str,
    made: int,
    finish: str | None = None,
) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    choice |= {"delta": {"content": text} if text else {}} if chat else {"text": text}
    chunk: dict[str, Any] = {
        "id": "fake-1",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": 1,
        "model": body["model"],
        "choices": [choice],
    }
    if "timings" in faults:
        # llama.cpp holds pieces back now and then: its count may run ahead of what was sent.
        chunk["timings"] = {"predicted_n": made + int(faults["timings"] or 0), "prompt_n": 4, "cache_n": 3}
    if "early" in faults:
        stated = 0 if made else int(faults["early"])
        chunk["usage"] = {"prompt_tokens": 7, "completion_tokens": stated, "total_tokens": 7 + stated}
    if "nullerror" in faults:
        chunk["error"] = None
    return chunk


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def make_app(log: Path | None) -> web.Application:
    fake = Fake(log)
    app = web.Application(client_max_size=64_000_000)
    for prefix in ("", "/v1"):
        app.router.add_get(f"{prefix}/models", fake.models)
        app.router.add_post(f"{prefix}/chat/completions", fake.chat)
        app.router.add_post(f"{prefix}/completions", fake.completions)
        app.router.add_post(f"{prefix}/embeddings", fake.embeddings)
    app.router.add_get("/served", fake.served)
    return app


async def serve(port: int, log: Path | None) -> None:
    runner = web.AppRunner(make_app(log), access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    tie_to_parent(signal.SIGKILL)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(given.port, given.log))


if __name__ == "__main__":
    main()
