"""Pages that talk to whoever served them, so that one build fits every port and every host name."""

from typing import Unpack

from reflex_base.plugins import Plugin
from reflex_base.plugins.base import PreCompileContext

_CLIENT = "utils/state.js"
_BEFORE = "  const endpoint = new URL(url_str);\n"
_ADDED = """\
  if (typeof window !== "undefined") {
    const secure = window.location.protocol === "https:";
    const scheme = endpoint.protocol.startsWith("ws") ? "ws" : "http";
    endpoint.protocol = secure ? `${scheme}s:` : `${scheme}:`;
    endpoint.hostname = window.location.hostname;
    endpoint.port = window.location.port;
    return endpoint;
  }
"""


class ClientChanged(RuntimeError):
    """Reflex's client no longer has the line that is extended here: compare it with the new version."""


class SameOrigin(Plugin):
    """Makes Reflex's client take host, port and scheme from the page's address.

    Reflex compiles the backend's address into the pages, with its port, so that another MATRIX_PORT would
    ask for another build, and a proxy on another port would not work at all.
    """

    def pre_compile(self, **context: Unpack[PreCompileContext]) -> None:
        """Have the client's source changed when it is written out."""
        context["add_modify_task"](_CLIENT, follow_the_page)


def follow_the_page(source: str) -> str:
    """The client's source with the address taken from the page; applying it twice changes nothing."""
    if _BEFORE + _ADDED in source:
        return source
    if source.count(_BEFORE) != 1:
        raise ClientChanged(f"{_CLIENT} of this Reflex version has no single line {_BEFORE.strip()!r}.")
    return source.replace(_BEFORE, _BEFORE + _ADDED)
