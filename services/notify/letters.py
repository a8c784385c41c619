"""A notice as a mail: the same sentences as plain text and as HTML. Whatever a person typed is escaped here."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

RIGHT_TO_LEFT = frozenset({"ar"})


@dataclass(frozen=True, slots=True)
class Letter:
    """`subject` never holds anything that a person typed. Both links are whole addresses of ours."""

    subject: str
    body: str
    html: str


def letter_in(
    language: str, *, title: str, hello: str, sentences: tuple[str, ...], link: str, link_text: str, why: str
) -> Letter:
    """In another language than English, all of it said by the caller; it is sent in any case."""
    text = "\n\n".join((hello, *sentences, f"{link_text}: {link}", why)) + "\n"
    return Letter(title, text, _html(hello, title, sentences, link, link_text, "", why, language=language))


def letter(
    *, name: str, title: str, sentences: tuple[str, ...], link: str, link_text: str, settings_link: str
) -> Letter:
    """`settings_link` says where such mail is switched off; empty for what is told in any case."""
    hello = f"Hello {name}," if name else "Hello,"
    why = (
        f"You get this because of your settings: {settings_link}"
        if settings_link
        else "This is about the safety of your account, so it is sent in any case."
    )
    text = "\n\n".join((hello, *sentences, f"{link_text}: {link}", why)) + "\n"
    return Letter(title, text, _html(hello, title, sentences, link, link_text, settings_link, why))


def _html(
    hello: str,
    title: str,
    sentences: tuple[str, ...],
    link: str,
    link_text: str,
    settings_link: str,
    why: str,
    *,
    language: str = "en",
) -> str:
    direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in (hello, *sentences))
    foot = (
        f'You get this because of <a href="{escape(settings_link)}">your settings</a>.'
        if settings_link
        else escape(why)
    )
    return (
        f'<!doctype html><html lang="{language}" dir="{direction}"><head>'
        f'<meta charset="utf-8"><title>{escape(title)}</title></head>'
        '<body style="margin:0;padding:24px;font:16px/1.6 system-ui,sans-serif">'
        f'<div style="max-width:34em;margin:0 auto"><h1 style="font-size:20px">{escape(title)}</h1>{paragraphs}'
        f'<p><a href="{escape(link)}">{escape(link_text)}</a></p><hr><p style="font-size:13px">{foot}</p>'
        "</div></body></html>"
    )
