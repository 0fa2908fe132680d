"""A page as a browser's parser sees it: elements, attributes and text, without a browser."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from edgecnn.render.page.charts.figure import Figure

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Element:
    """One element with all the text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, *tags: str) -> list[Element]:
        """Every element below, in the document's order."""
        found = []
        for child in self.children:
            found += [child] if not tags or child.tag in tags else []
            found += child.all(*tags)
        return found

    def first(self, tag: str) -> Element:
        return self.all(tag)[0]

    def by_id(self, name: str) -> Element:
        return next(each for each in self.all() if each.attributes.get("id") == name)

    @property
    def words(self) -> str:
        """The text as it is read, with single spaces."""
        return " ".join(self.text.split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def read(page: str) -> Element:
    """The document, whose elements are all closed where they should be."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert [element.tag for element in reader.open] == [""]
    return reader.root


def charts_of(document: Element) -> dict[str, Any]:
    """The specifications that the page draws."""
    found: dict[str, Any] = json.loads(document.by_id("charts").text)
    return found


def rows_with(figure: Figure | None, field: str) -> list[dict[str, Any]]:
    """The data of a chart that has this field."""
    assert figure is not None
    found: list[dict[str, Any]] = next(rows for rows in figure.spec["datasets"].values() if rows and field in rows[0])
    return found
