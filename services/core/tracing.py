"""OpenTelemetry traces, switched on by MATRIX_OTEL_ENDPOINT; without it spans cost next to nothing."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext

_W3C = TraceContextTextMapPropagator()
_provider: TracerProvider | None = None
_tracer: trace.Tracer | None = None
_trace_id: ContextVar[str] = ContextVar("matrix_trace_id", default="")


def start(service: str, endpoint: str | None) -> None:
    """Export spans of this process to an OTLP/HTTP collector. Call once, after any fork."""
    global _tracer, _provider
    if endpoint is None:
        return
    # Only who exports loads the exporter, which takes a twentieth of a second.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    _provider = TracerProvider(resource=Resource.create({"service.name": f"matrix-{service}"}))
    _provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))
    )
    _tracer = _provider.get_tracer("matrix")


def current_trace_id() -> str:
    """Hex id that joins logs, events and request rows of one act; empty outside of any."""
    return _trace_id.get()


@contextmanager
def act(name: str, *, continues: str = "", **attributes: str | int | bool) -> Generator[str, None, None]:
    """One act at a door (request, page event, job): gives it a trace id and, if tracing is on, a root span.

    `continues` is the trace id of the act that caused this one, for work handed over by event or job.
    """
    if _tracer is None:
        with _known_as(continues or secrets.token_hex(16)) as trace_id:
            yield trace_id
        return
    with (
        _step(_tracer, name, context=_caused_by(continues), attributes=attributes) as root,
        _known_as(format(root.get_span_context().trace_id, "032x")) as trace_id,
    ):
        yield trace_id


@contextmanager
def _step(tracer: trace.Tracer, name: str, **options: Any) -> Generator[trace.Span, None, None]:
    """A span that names the kind of error it ended with, and not its words: they may hold what a person typed."""
    with tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False, **options
    ) as begun:
        try:
            yield begun
        except BaseException as error:
            _failed(begun, error)
            raise


def _failed(span: trace.Span, error: BaseException) -> None:
    span.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))


@contextmanager
def _known_as(trace_id: str) -> Generator[str, None, None]:
    token = _trace_id.set(trace_id)
    try:
        yield trace_id
    finally:
        _trace_id.reset(token)


def _caused_by(trace_id: str) -> Context | None:
    """A remote parent with that trace id; events and jobs keep the trace's id, not the span's."""
    if not trace_id:
        return None
    parent = trace.SpanContext(
        int(trace_id, 16),
        secrets.randbits(63) | 1,
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))


@contextmanager
def span(name: str, **attributes: str | int | bool) -> Generator[None, None, None]:
    """A step within an act."""
    if _tracer is None:
        yield
        return
    with _step(_tracer, name, attributes=attributes):
        yield


@contextmanager
def outgoing_call(name: str, **attributes: str | int | bool) -> Generator[dict[str, str], None, None]:
    """A call of another system: yields the headers by which it can go on with the trace; none without tracing."""
    if _tracer is None:
        yield {}
        return
    with _step(_tracer, name, kind=trace.SpanKind.CLIENT, attributes=attributes):
        headers: dict[str, str] = {}
        _W3C.inject(headers)
        yield headers


def follow_sql(engine: Engine) -> None:
    """Make each statement of `engine` a span, with its text and without its values. A no-op without tracing."""
    if _tracer is None:
        return
    tracer = _tracer

    @event.listens_for(engine, "before_cursor_execute")
    def _begin(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        started = tracer.start_span("sql", attributes={"db.system": "postgresql", "db.statement": statement})
        connection.info.setdefault("matrix_spans", []).append(started)

    @event.listens_for(engine, "after_cursor_execute")
    def _end(connection: Any, *rest: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.info["matrix_spans"].pop().end()

    @event.listens_for(engine, "handle_error")
    def _fail(context: ExceptionContext) -> None:  # pyright: ignore[reportUnusedFunction]
        spans = context.connection.info.get("matrix_spans") if context.connection is not None else None
        if spans:
            failed = spans.pop()
            _failed(failed, context.original_exception)
            failed.end()


def stop() -> None:
    """Send what is still buffered, and stop tracing."""
    global _tracer, _provider
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None
