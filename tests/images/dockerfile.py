"""A Dockerfile read as what it asks: its instructions in order, continued lines joined, and what its image is started with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.house.source_tree import ROOT

FILES = ("Dockerfile", "Dockerfile.device")


class Instruction(NamedTuple):
    """One of them: ``RUN`` and the text behind it."""

    word: str
    text: str


def instructions(name: str) -> list[Instruction]:
    """Of a Dockerfile at the root of the checkout."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    joined = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    found = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [Instruction(word, text.strip()) for word, text in found]


def only(name: str, word: str) -> str:
    """The text of an instruction that is there once."""
    (text,) = [each.text for each in instructions(name) if each.word == word]
    return text


def argv(text: str) -> list[str]:
    """An instruction in its exec form, or a health check's command."""
    found: list[str] = json.loads(text[text.index("[") :])
    return found


def with_arguments(text: str, values: Mapping[str, str]) -> str:
    """``$NAME``, ``${NAME}`` and ``${NAME:+word}`` filled in, as the builder's shell would."""

    def word(found: re.Match[str]) -> str:
        return with_arguments(found[2], values) if values.get(found[1]) else ""

    text = re.sub(r"\$\{(\w+):\+([^}]*)\}", word, text)
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ""), text)


def files_copied(name: str) -> list[tuple[list[Path], str]]:
    """Sources in the checkout, and the place in the image, of each ``COPY``."""
    copies = [each.text.split() for each in instructions(name) if each.word == "COPY"]
    return [([ROOT / source for source in words[:-1]], words[-1]) for words in copies]
