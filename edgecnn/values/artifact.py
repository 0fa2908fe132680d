"""The content of the store, and the records next to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field

from edgecnn.errors.base import EdgecnnError
from edgecnn.values.base import Dated, Value
from edgecnn.values.stage import Key, digest_of


class FileFact(Value):
    """One file of an artifact, as published."""

    sha256: str
    bytes: int


class InputFact(Value):
    """One input of an artifact: the requested key, and the digest of the bytes used."""

    key: Key
    content: str


class Record(Value):
    """The record next to every artifact: the request, the inputs and the result."""

    schema_: Literal["edgecnn.record/1"] = Field(
        default="edgecnn.record/1", validation_alias=AliasChoices("schema", "schema_"), serialization_alias="schema"
    )
    key: Key
    payload: Mapping[str, Any]
    """The content of the key, so that a miss can be explained field by field."""
    inputs: Mapping[str, InputFact]
    files: Mapping[str, FileFact]
    environment: Mapping[str, str]
    made_at: Dated
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """Digest of the files' names and bytes: artifacts with the same digest have the same files."""
        return content_digest(self.files)


def content_digest(files: Mapping[str, FileFact]) -> str:
    """SHA-256 over the sorted names and digests of files."""
    return digest_of({name: fact.sha256 for name, fact in files.items()})


class FoundInput(Value):
    """One input of a stage: its folder, its key, and the digest of its bytes.

    A source (the data manifest, a user's weights) is identified by its content, so ``content`` is its key.
    """

    path: Path
    key: Key
    content: str


class Artifact(Value):
    """A finished entry of the store."""

    kind: str
    key: Key
    folder: Path
    """The folder of its files."""
    record: Record

    @property
    def content(self) -> str:
        """The digest of its files."""
        return self.record.content

    @property
    def stage_input(self) -> FoundInput:
        """This artifact as the input of another stage."""
        return FoundInput(path=self.folder, key=self.key, content=self.content)


class Miss(Value):
    """Result of a lookup that found no entry in the store."""

    why: tuple[str, ...]
    """Fields that differ from the nearest stored entry, one a line; empty if there is no such entry."""


class Ran(Value):
    """A stage ran in this call."""

    outcome: Literal["ran"] = "ran"
    seconds: float
    why: tuple[str, ...]
    """Why the store did not have the result, one field a line."""


class Cached(Value):
    """The store had the result."""

    outcome: Literal["cached"] = "cached"


class Skipped(Value):
    """The stage was not needed."""

    outcome: Literal["skipped"] = "skipped"
    why: str


class Failed(Value):
    """The stage failed with an error of edgecnn."""

    outcome: Literal["failed"] = "failed"
    ref: str
    what: str
    hint: str | None = None
    missing: bool = Field(default=False, exclude_if=lambda missing: not missing)
    """Whether this machine lacks something, which does not concern the kit."""

    @classmethod
    def of(cls, error: EdgecnnError) -> Failed:
        """Return the failure with the error's own words."""
        return cls(ref=error.ref, what=error.line(), hint=error.hint, missing=getattr(error, "missing", False))


class Blocked(Value):
    """An input of the stage failed."""

    outcome: Literal["blocked"] = "blocked"
    by: str


class Unavailable(Value):
    """Something is not available on this machine; the command makes it available."""

    outcome: Literal["unavailable"] = "unavailable"
    why: str
    command: str | None = None

    @property
    def words(self) -> str:
        """The reason, and the command if there is one."""
        return self.why if self.command is None else f"{self.why}; {self.command}"


Outcome = Ran | Cached | Skipped | Failed | Blocked | Unavailable


ABSENT = "absent"
"""The version of a distribution that is not installed. It is part of the key, so installing it changes the key."""


class NetworkWithWeights(Value):
    """A network with pretrained weights on this machine, suggested instead of one without."""

    arch: str
    top1: float | None
    """Published top-1 on ImageNet-1k, 0…1; None if no figure was published."""
    macs: int | None
    """Multiply-adds for one image at the published resolution."""
    instead_of_top1: float | None
    instead_of_macs: int | None
    """Multiply-adds of the requested network."""

    @property
    def sentence(self) -> str:
        """Such as ``efficientnet-lite0 has pretrained weights on this machine (…): --arch efficientnet-lite0``."""
        figures = [
            f"{name} {ours} instead of {theirs}"
            for name, ours, theirs in (
                ("published top-1", _percent(self.top1), _percent(self.instead_of_top1)),
                ("MACs", _millions(self.macs), _millions(self.instead_of_macs)),
            )
            if ours and theirs
        ]
        known = f" ({', '.join(figures)})" if figures else ""
        return f"{self.arch} has pretrained weights on this machine{known}: --arch {self.arch}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _millions(macs: int | None) -> str:
    return "" if macs is None else f"{macs / 1e6:,.{0 if macs >= 10_000_000 else 1}f} M"


class WeightsAnswer(Value):
    """How ``--weights`` was resolved on this machine. Only the fetched bytes are part of a key, not their location."""

    choice: str
    """The request: auto, imagenet, none, or a path."""
    kind: Literal["cached", "package", "download", "file", "onnx", "none"]
    """cached: the store or the torch hub. onnx: the weights inside a custom model. none: random weights, either requested or
    because there are no others (see ``why``)."""
    path: str | None = None
    """Path on this machine: a file, or the store's folder of the fetched weights. None before a download."""
    sha256: str | None = None
    """SHA-256 of the original file, if known before the download."""
    asked: bool = False
    """Whether a server was asked."""
    what: str = ""
    """Name of these weights, as a noun."""
    lacking: str | None = None
    """Why no weights are pretrained, and how to get some; None if there are some, or none were requested."""
    why: str
    """One sentence."""
    alternative: NetworkWithWeights | None = Field(default=None, exclude_if=lambda alternative: alternative is None)
    """If no pretrained weights are available: the best network with weights here."""

    @classmethod
    def starting(cls, what: str, **facts: Any) -> Self:
        """The answer for a training that starts from these weights."""
        return cls(what=what, why=f"training starts from {what}", **facts)

    def kept(self) -> Self:
        """Return the answer for the same weights without training."""
        return self.model_copy(update={"why": f"nothing is trained: the head of {self.what} is kept"})

    @property
    def pretrained(self) -> bool:
        """Whether training starts from pretrained weights."""
        return self.kind != "none"

    @property
    def fell_back(self) -> bool:
        """Whether weights were wanted (``auto``) and none were available, which is always reported."""
        return self.kind == "none" and self.choice == "auto"
