"""OpenTelemetry traces, switched on by MATRIX_OTEL_ENDPOINT; without it spans cost next to nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_tracer: trace.Tracer | None = None
_trace_id: ContextVar[str] = ContextVar("matrix_trace_id", default="")


def start(service: str, endpoint: str | None) -> None:
    """Export spans of this process to an OTLP/HTTP collector. Call once, after any fork."""
    global _tracer
    if endpoint is None:
        return
    provider = TracerProvider(resource=Resource.create({"service.name": f"matrix-{service}"}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))
    )
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("matrix")


def current_trace_id() -> str:
    """Hex id that joins logs, events and request rows of one act; empty outside of any."""
    return _trace_id.get()


@contextmanager
def act(name: str, **attributes: str | int | bool) -> Iterator[str]:
    """One act at a door (request, page event, job): gives it a trace id and, if tracing is on, a root span."""
    if _tracer is None:
        token = _trace_id.set(secrets.token_hex(16))
        try:
            yield _trace_id.get()
        finally:
            _trace_id.reset(token)
        return
    with _tracer.start_as_current_span(name, attributes=attributes) as span:
        token = _trace_id.set(format(span.get_span_context().trace_id, "032x"))
        try:
            yield _trace_id.get()
        finally:
            _trace_id.reset(token)


@contextmanager
def span(name: str, **attributes: str | int | bool) -> Iterator[None]:
    """A step within an act."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(name, attributes=attributes):
        yield


def stop() -> None:
    """Send what is still buffered."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()
