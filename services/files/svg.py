"""SVG without anything that acts: only elements and attributes that draw are let through."""

from __future__ import annotations

import re
from xml.parsers import expat

from services.files.rules import FileRefused

NAMESPACE = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"
DEPTH_MAX = 50
ELEMENTS_MAX = 20_000

_ELEMENTS = frozenset({
    "svg", "g", "defs", "symbol", "use", "title", "desc", "metadata", "path", "rect", "circle", "ellipse", "line",
    "polyline", "polygon", "text", "tspan", "textPath", "linearGradient", "radialGradient", "stop", "clipPath",
    "mask", "pattern", "marker", "filter", "feGaussianBlur", "feOffset", "feBlend", "feFlood", "feMerge",
    "feMergeNode", "feColorMatrix", "feComposite",
})  # fmt: skip
# What could load something from elsewhere, or be taken for a script once it is unescaped.
# Blanks are read in one place each: two runs of them beside each other take time by the square.
_ACTIVE = re.compile(
    r"url\s*\((?!\s*(?:['\"]\s*)?#)|@import|javascript:|data:|expression\s*\(|\\", re.IGNORECASE
)


def check(content: bytes) -> None:
    """Raises FileRefused unless it is a picture and nothing else."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.ProcessingInstructionHandler = reader.instruction
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise FileRefused(f"This is no SVG that can be read: {expat.ErrorString(error.code)}.") from None


class _Reader:
    """Judges each part as the parser comes by it."""

    def __init__(self) -> None:
        self._depth = 0
        self._elements = 0
        self._named: list[bool] = []  # of the elements around: whether others may draw them by name

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH_MAX or self._elements > ELEMENTS_MAX:
            raise FileRefused("The SVG is nested too deeply or has too many elements.")
        namespace, _, element = name.rpartition(" ")
        if self._depth == 1 and (namespace, element) != (NAMESPACE, "svg"):
            raise FileRefused("Markup other than SVG is not taken.")
        if namespace != NAMESPACE or element not in _ELEMENTS:
            raise FileRefused(f"The SVG holds <{element[:40]}>, which does not draw.")
        # Ten <use> of a group with ten <use> of another group ... is a bomb of a hundred elements.
        if element == "use" and any(self._named[1:]):
            raise FileRefused("The SVG draws parts by name within parts that have a name.")
        for attribute, value in attributes.items():
            _check_attribute(attribute, value)
        self._named.append("id" in attributes)

    def end(self, _: str) -> None:
        self._depth -= 1
        self._named.pop()

    def doctype(self, *_: object) -> None:
        raise FileRefused("The SVG has a document type declaration.", next_step="Remove <!DOCTYPE ...>.")

    def instruction(self, *_: object) -> None:
        raise FileRefused("The SVG holds a processing instruction.", next_step="Remove <?...?>.")


def _check_attribute(attribute: str, value: str) -> None:
    namespace, _, name = attribute.rpartition(" ")
    lower = name.lower()
    if namespace not in ("", _XLINK, _XML) or lower.startswith("on"):
        raise FileRefused(f"The SVG has the attribute {name[:40]!r}, which does not draw.")
    if lower in ("href", "src") and not value.strip().startswith("#"):
        raise FileRefused("The SVG refers to something outside itself.")
    if _ACTIVE.search(value):
        raise FileRefused(f"The attribute {name[:40]!r} of the SVG refers outside or holds a script.")
