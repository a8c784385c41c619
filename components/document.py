"""What the app needs so that every page has our look: styles, head, toasts, banner, and nothing of Reflex's own.

app = rx.App(**document.app_options(), api_transformer=...)
"""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import crash_page
from components.shell.runtime import runtime

STYLESHEETS = [
    f"styles/{name}.css"
    for name in (
        "fonts",
        "tokens",
        "base",
        "shell",
        "forms",
        "overlays",
        "tables",
        "feedback",
        "charts",
        "live",
        "playground",
        "pages",
    )
]

# Runs before first paint. The choice lives under Reflex's own storage key, so that both always agree; the
# cookie lets the server know it. `choose` is called by the theme switch, `apply` when the system changes.
THEME_SCRIPT = """
(function () {
  var root = document.documentElement;
  function choice() { try { return localStorage.getItem("theme") || "system"; } catch (e) { return "system"; } }
  function apply() {
    var theme = choice();
    var dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.theme = dark ? "dark" : "light";
    dispatchEvent(new Event("matrix:theme"));
  }
  function choose(theme) {
    try { localStorage.setItem("theme", theme); } catch (e) { /* storage is off: the choice lasts for this page */ }
    document.cookie = "matrix_theme=" + theme + ";path=/;max-age=31536000;samesite=lax";
    apply();
  }
  window.matrixTheme = { apply: apply, choose: choose };
  apply();
})();
"""


def head_components() -> list[rx.Component]:
    """The theme script, fonts that every page shows, and the icon; order matters: the script is first."""
    return [
        rx.el.script(THEME_SCRIPT),
        rx.el.link(
            rel="preload",
            href="/fonts/inter-latin.woff2",
            type="font/woff2",
            custom_attrs={"as": "font", "crossOrigin": ""},
        ),
        rx.el.link(rel="icon", href="/favicon.svg", type="image/svg+xml"),
    ]


def app_options() -> dict[str, Any]:
    """Keyword arguments for `rx.App`. Toasts and the connection banner are ours, so Reflex's are off."""
    return {
        "stylesheets": STYLESHEETS,
        "reset_style": False,
        "toaster": None,
        "html_lang": "en",
        "head_components": head_components(),
        "app_wraps": {
            (55, "ErrorBoundary"): lambda stateful: crash_page(stateful=stateful),
            (5, "Overlay"): lambda _stateful: runtime(),
        },
    }
