"""The frame of every page of this test provider: plain HTML that works without scripts, in both themes."""

from __future__ import annotations

from html import escape

_STYLE = """
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: light-dark(#1a1f36, #e6e8f0);
  background: light-dark(#f6f8fa, #14161f); }
.mark { margin: 0; padding: .5rem 1rem; text-align: center; font-weight: 600; color: #1a1f36; background: #ffd166; }
main { max-width: 44rem; margin: 1.5rem auto; padding: 0 1rem; }
section { margin: 1rem 0; padding: 1rem; border: 1px solid light-dark(#d5dbe1, #363b52); border-radius: .5rem;
  background: light-dark(#fff, #1d2030); }
h1 { font-size: 1.4rem; } h2 { margin: .75rem 0 .5rem; font-size: 1.1rem; }
label { display: block; margin: .5rem 0 .15rem; }
input, select, button { width: 100%; min-height: 2.75rem; padding: .4rem .6rem; font: inherit; border-radius: .35rem;
  border: 1px solid light-dark(#6a7383, #8b92ad); color: inherit; background: light-dark(#fff, #14161f); }
button { margin-top: .75rem; cursor: pointer; font-weight: 600;
  color: #fff; background: #4b45c6; border-color: #4b45c6; }
button.quiet { color: inherit; background: transparent; }
:focus-visible { outline: 3px solid light-dark(#4b45c6, #a6a1ff); outline-offset: 2px; }
.row { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); align-items: end; }
[role=alert] { padding: .6rem .8rem; border-inline-start: 4px solid #d64550; background: light-dark(#fdecee, #3a1d22); }
table { width: 100%; border-collapse: collapse; font-size: .9rem; } td, th { padding: .25rem; text-align: start; }
code { overflow-wrap: anywhere; }
@media (max-width: 36rem) { tr, td { display: block; } tr { padding: .5rem 0; } }
"""


def frame(title: str, body: str) -> str:
    """`title` is escaped here, `body` is HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        '<p class="mark" role="note">Test provider: no money moves.</p>'
        f"<main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )


def alert(text: str) -> str:
    return f'<p role="alert">{escape(text)}</p>' if text else ""


def field(label: str, name: str, value: str = "", *, hint: str = "", kind: str = "text") -> str:
    return (
        f'<div><label for="{name}">{escape(label)}</label><input id="{name}" name="{name}" type="{kind}" '
        f'value="{escape(value)}" placeholder="{escape(hint)}" autocomplete="off"></div>'
    )
