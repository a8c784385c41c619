"""Prometheus metrics of one process, by door. Names and units follow Prometheus' own conventions.

What the whole installation has in common is read from the database instead: services/operations/alarms.py.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

HTTP_REQUESTS = Counter("matrix_http_requests_total", "Answered requests", ["route", "method", "status"])
HTTP_SECONDS = Histogram("matrix_http_request_seconds", "Time to answer", ["route"], buckets=_FAST)
PAGE_EVENTS = Counter("matrix_page_events_total", "Handled page events", ["handler", "outcome"])
PAGE_EVENT_SECONDS = Histogram(
    "matrix_page_event_seconds", "Time to handle a page event", ["handler"], buckets=_FAST
)
CROSSINGS = Counter("matrix_crossings_total", "Units of work across tenants", ["reason"])
EVENTS_STAMPED = Counter("matrix_events_stamped_total", "Events given their position by the relay")
SUBSCRIBER_FAILURES = Counter("matrix_subscriber_failures_total", "Failed deliveries", ["subscriber"])
JOBS = Counter("matrix_jobs_total", "Finished jobs", ["job", "outcome"])
LIVE_SOCKETS = Gauge("matrix_live_sockets", "Open live connections")
LIVE_PUBLISHED = Counter("matrix_live_published_total", "Published topic versions", ["view"])
GATEWAY_REQUESTS = Counter("matrix_gateway_requests_total", "Gateway calls", ["model", "status"])
GATEWAY_SECONDS = Histogram("matrix_gateway_request_seconds", "Gateway call, first to last byte", ["model"])
GATEWAY_TOKENS = Counter("matrix_gateway_tokens_total", "Tokens as counted", ["model", "kind"])
GATEWAY_REFUSED_UNRECORDED = Counter(
    "matrix_gateway_refused_unrecorded_total",
    "Refused calls beyond what one key may leave in the request log, so with neither row nor usage event",
)
GATEWAY_UNSETTLED = Gauge(
    "matrix_gateway_unsettled_calls", "Calls in the local journal that wait for the database"
)
GATEWAY_PARKED = Gauge(
    "matrix_gateway_parked_calls", "Calls that the database refuses: in the local journal, not booked"
)
USAGE_INGESTED = Counter("matrix_usage_events_total", "Usage events by outcome", ["outcome"])
