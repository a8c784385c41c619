"""A document as one page of HTML that prints well: no scripts, nothing loaded from elsewhere, every text escaped.

Its own policy forbids all but the style and the logo it carries, wherever it is opened.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

from services.documents.content import Content
from services.documents.style import Font, Paper, Style
from services.documents.view import LineView, PartyView, PaymentView, Row, View, view

_STYLE = (Path(__file__).with_name("template") / "document.css").read_text()
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_FAMILIES = {
    Font.SANS: '"Noto Sans", system-ui, "Segoe UI", sans-serif',
    Font.SERIF: '"Noto Serif", Georgia, serif',
}
_PAPERS = {Paper.A4: "A4", Paper.LETTER: "letter"}
_MEDIA = {"png": "image/png", "jpg": "image/jpeg", "svg": "image/svg+xml"}


def html(content: Content, style: Style) -> str:
    seen = view(content, style)
    return (
        f'<!doctype html><html lang="{seen.language}" dir="{"rtl" if seen.is_rtl else "ltr"}"><head>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        f"<title>{escape(f'{seen.title} {seen.number}')}</title><style>{_style(style)}</style></head><body><main>"
        f"<header><div><h1>{escape(seen.title)}</h1>{_rows(seen.facts)}</div>{_logo(seen, style)}</header>"
        f'<div class="parties">{"".join(map(_party, seen.parties))}</div>'
        f"{_headline(seen)}{_table(seen)}{_totals(seen.totals)}"
        f"{''.join(_paragraph(reason) for reason in seen.reasons)}{_payments(seen)}{_notes(seen)}"
        f"{_legal(seen)}</main></body></html>"
    )


def _style(style: Style) -> str:
    ink = style.accent if style.accent_is_readable else "inherit"
    return (
        f":root{{--accent:{style.accent};--accent-ink:{ink};--family:{_FAMILIES[style.font]}}}"
        f"@page{{size:{_PAPERS[style.paper]};margin:16mm}}{_STYLE}"
    )


def _paragraph(text: str) -> str:
    return f"<p>{_broken(text)}</p>"


def _broken(text: str) -> str:
    return "<br>".join(escape(line) for line in text.split("\n"))


def _rows(rows: Iterable[Row]) -> str:
    shown = (f"<div><dt>{escape(row.label)}</dt><dd>{escape(row.value)}</dd></div>" for row in rows)
    return f"<dl>{''.join(shown)}</dl>"


def _logo(seen: View, style: Style) -> str:
    if style.logo is None:
        return f'<p class="seller">{escape(seen.seller)}</p>'
    source = f"data:{_MEDIA[style.logo_format]};base64,{base64.b64encode(style.logo).decode()}"
    return f'<img src="{source}" alt="{escape(seen.seller)}">'


def _party(party: PartyView) -> str:
    lines = "".join(f"<br>{escape(line)}" for line in party.lines)
    return f"<address><h2>{escape(party.title)}</h2><strong>{escape(party.name)}</strong>{lines}</address>"


def _headline(seen: View) -> str:
    if not seen.headline:
        return ""
    links = [payment.link for payment in seen.payments if payment.link]
    link = f'<a href="{escape(links[0])}" rel="noreferrer">{escape(seen.pay_online)}</a>' if links else ""
    return f'<p class="headline">{escape(seen.headline)}</p>{link}'


def _table(seen: View) -> str:
    kept = [column for at, column in enumerate(seen.columns) if seen.shows_rates or at != 3]
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in kept)
    body = "".join(_line(line, seen.shows_rates) for line in seen.lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _line(line: LineView, shows_rate: bool) -> str:
    details = "".join(f"<br><small>{escape(detail)}</small>" for detail in line.details)
    values = [line.quantity, line.unit_price, *([line.rate] if shows_rate else []), line.amount]
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f"<tr><td><strong>{escape(line.description)}</strong>{details}</td>{cells}</tr>"


def _totals(rows: Iterable[Row]) -> str:
    shown = (
        f'<div class="{"strong" if row.strong else ""}"><dt>{escape(row.label)}</dt>'
        f"<dd>{escape(row.value)}</dd></div>"
        for row in rows
    )
    return f'<dl class="totals">{"".join(shown)}</dl>'


def _payments(seen: View) -> str:
    if not seen.payments:
        return ""
    return f"<section><h2>{escape(seen.payment_title)}</h2>{''.join(map(_payment, seen.payments))}</section>"


def _payment(payment: PaymentView) -> str:
    text = _paragraph(payment.text) if payment.text else ""
    return f"{text}{_rows(payment.rows) if payment.rows else ''}"


def _notes(seen: View) -> str:
    if not seen.notes:
        return ""
    return f"<section><h2>{escape(seen.notes_title)}</h2>{''.join(map(_paragraph, seen.notes))}</section>"


def _legal(seen: View) -> str:
    return f"<footer>{_paragraph(seen.legal_text)}</footer>" if seen.legal_text else ""
