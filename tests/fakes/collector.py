"""A fake OTLP collector: takes spans over HTTP as the protocol has it, and keeps them."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests import leftovers


class Collector:
    """`spans` are those of all batches, as the wire names them; `text` is all that was sent."""

    def __init__(self) -> None:
        self.address = ""
        self.spans: list[Any] = []
        self.text = ""

    def of(self, trace_id: str) -> list[Any]:
        return [span for span in self.spans if span.trace_id.hex() == trace_id]

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        self.text += str(request)
        self.spans += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]


@contextmanager
def collecting() -> Generator[Collector, None, None]:
    """A collector that listens until the block ends, and must not have been sent a card's number by then."""
    collector = Collector()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Door)
    collector.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
        leftovers.require_none("traces", collector.text)
    finally:
        server.shutdown()
        server.server_close()
