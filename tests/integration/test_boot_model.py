"""The built-in model answers in OpenAI's shapes, with its true token counts."""

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from matrix_app.model_server import EMBEDDING_TOKENS_MAX, MODEL_NAME, ModelMissing, llama
from services.gateway.upstreams import BUILTIN_UPSTREAM_MODEL
from tests.bench.product import free_port

pytestmark = pytest.mark.xdist_group("model")


@pytest.fixture(scope="module")
def model() -> Iterator[httpx.Client]:
    address = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "matrix_app.cli", "model"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"MATRIX_MODEL_URL": address},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert address in process.stdout.readline().decode()
    # After a stream it closes the connection unannounced, so none is used twice.
    with httpx.Client(base_url=address, timeout=60, headers={"Connection": "close"}) as client:
        yield client
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    process.stdout.close()


def chat(model: httpx.Client, **more: object) -> httpx.Response:
    messages = [{"role": "user", "content": "Say hello"}]
    return model.post("/v1/chat/completions", json={"messages": messages, "max_tokens": 8, **more})


def test_a_library_that_the_system_lacks_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> None:
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", lacking)

    with pytest.raises(ModelMissing, match=r"libgomp\.so\.1.*apt-get install libgomp1.*MATRIX_MODEL_URL"):
        llama()


def test_it_names_itself_as_the_catalogue_knows_it(model: httpx.Client) -> None:
    served = [entry["id"] for entry in model.get("/v1/models").json()["data"]]

    assert served == [MODEL_NAME] == [BUILTIN_UPSTREAM_MODEL]


def test_it_is_healthy_and_lets_no_web_page_read_it(model: httpx.Client) -> None:
    answer = model.get("/health", headers={"Origin": "https://elsewhere.example"})

    assert answer.status_code == 200
    assert answer.headers.get("access-control-allow-origin", "") == ""


def test_a_chat_is_answered_with_true_counts(model: httpx.Client) -> None:
    answer = chat(model).json()

    assert answer["choices"][0]["message"]["content"]
    assert 1 <= answer["usage"]["completion_tokens"] <= 8
    assert answer["usage"]["total_tokens"] == (
        answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    )


def test_a_stream_ends_with_its_usage(model: httpx.Client) -> None:
    lines = chat(model, stream=True, stream_options={"include_usage": True}).text.split("\n\n")
    events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]

    assert events[-1] == "[DONE]"
    assert '"usage":{"completion_tokens":' in events[-2]


def test_chat_and_embeddings_come_from_one_server(model: httpx.Client) -> None:
    answer = model.post("/v1/embeddings", json={"input": ["one", "two words"]}).json()

    assert [len(row["embedding"]) for row in answer["data"]] == [576, 576]
    assert answer["usage"]["prompt_tokens"] > 0


@pytest.mark.deep  # a core is busy with it for ten seconds
def test_an_embedding_of_the_longest_input_works(model: httpx.Client) -> None:
    words = "word " * (EMBEDDING_TOKENS_MAX - 1)

    assert model.post("/v1/embeddings", json={"input": words.strip()}).status_code == 200


def test_a_prompt_beyond_the_context_is_refused_with_its_length(model: httpx.Client) -> None:
    answer = model.post("/v1/completions", json={"prompt": "word " * 3_000, "max_tokens": 1})

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "exceed_context_size_error"
