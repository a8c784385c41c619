"""Documents: a PDF as a worker has it made, beside the bare typesetter on the same page, and what is beside the PDF."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.documents import render, typeset
from services.documents.html import html
from services.documents.press import Press
from services.documents.style import Style
from tests.bench.figures import Figure, Result, median_figure, percentile
from tests.documents import invoice, line

NAME = "documents"
WARM, PDFS = 10, 100
PDF_MS_MAX = 60
LONG_LINES = 500


async def run() -> Result:
    content, style = invoice(), Style()
    press = Press()
    try:
        for _ in range(WARM):
            await press.pdf(content, style)
        made: list[float] = []
        for _ in range(PDFS):
            since = time.perf_counter()
            await press.pdf(content, style)
            made.append((time.perf_counter() - since) * 1_000)
        since = time.perf_counter()
        await press.pdf(invoice((line(),) * LONG_LINES), style)
        long_ms = (time.perf_counter() - since) * 1_000
    finally:
        await press.close()
    set_only = _ms(lambda: typeset.set_pdf(content, style, None))
    reference = percentile(set_only, 50)
    return Result(
        NAME,
        (
            Figure("PDF of a page, p95", percentile(made, 95), "ms", goal=PDF_MS_MAX),
            median_figure(
                "PDF of a page, median",
                made,
                "ms",
                reference=reference,
                reference_name="only set, no Factur-X",
            ),
            median_figure("HTML of it", _ms(lambda: html(content, style)), "ms"),
            median_figure("UBL of it", _ms(lambda: render.electronic_invoice(content)), "ms"),
            Figure(f"PDF of {LONG_LINES} lines", long_ms, "ms"),
        ),
        {"documents": PDFS},
    )


def _ms(act: Callable[[], object]) -> list[float]:
    taken: list[float] = []
    for attempt in range(WARM + PDFS):
        since = time.perf_counter()
        act()
        if attempt >= WARM:
            taken.append((time.perf_counter() - since) * 1_000)
    return taken
