"""XML written part by part. Text and attributes are escaped; empty parts are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class Part:
    """An element to which children are added in order. Names are written `prefix:Name`."""

    element: ElementTree.Element
    namespaces: Mapping[str, str]

    def add(self, name: str, text: str = "", **attributes: str) -> Part:
        made = ElementTree.SubElement(self.element, _full(name, self.namespaces), attributes)
        if text:
            made.text = text
        return Part(made, self.namespaces)

    def say(self, name: str, text: str, **attributes: str) -> None:
        """Adds a part that holds `text`, unless there is none."""
        if text:
            self.add(name, text, **attributes)


def root(name: str, namespaces: Mapping[str, str]) -> Part:
    return Part(ElementTree.Element(_full(name, namespaces)), namespaces)


def written(part: Part) -> bytes:
    for prefix, uri in part.namespaces.items():
        ElementTree.register_namespace(prefix, uri)
    return ElementTree.tostring(part.element, encoding="UTF-8", xml_declaration=True)


def _full(name: str, namespaces: Mapping[str, str]) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{namespaces[prefix]}}}{local}"
