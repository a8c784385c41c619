"""What to call a browser: from what it says of itself to words its owner knows. Pure."""

from __future__ import annotations

import re

# In this order: many browsers name the others, too.
_BROWSERS = (
    ("Edge", r"\bEdgA?(?:iOS)?/"),
    ("Opera", r"\bOPR/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:Chrome|CriOS|HeadlessChrome)/"),
    ("Safari", r"\bSafari/"),
    ("curl", r"\bcurl/"),
    ("Python", r"\bpython"),
)
_SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\bMac OS X\b|\bMacintosh\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b|\bX11\b"),
)


def device_words(user_agent: str) -> str:
    """Browser and system, like "Firefox, Linux"; what is not known is left out, and all of it gives an empty text."""
    found = (_first(kinds, user_agent) for kinds in (_BROWSERS, _SYSTEMS))
    return ", ".join(name for name in found if name)


def _first(kinds: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for name, shape in kinds if re.search(shape, user_agent, re.IGNORECASE)), "")
