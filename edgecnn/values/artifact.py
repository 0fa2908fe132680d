"""What the store holds, and what lies beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field

from edgecnn.errors.base import EdgecnnError
from edgecnn.values.base import Dated, Value
from edgecnn.values.stage import Key, digest_of


class FileFact(Value):
    """One file of an artifact, as it was when it was published."""

    sha256: str
    bytes: int


class InputFact(Value):
    """What an artifact was made from: the key that was asked for and the digest of the bytes that were there."""

    key: Key
    content: str


class Record(Value):
    """Beside every artifact: what was asked, what it was made from, and what came out."""

    schema_: Literal["edgecnn.record/1"] = Field(
        default="edgecnn.record/1", validation_alias=AliasChoices("schema", "schema_"), serialization_alias="schema"
    )
    key: Key
    payload: Mapping[str, Any]
    """What the key is the digest of, so that a miss is explained field by field."""
    inputs: Mapping[str, InputFact]
    files: Mapping[str, FileFact]
    environment: Mapping[str, str]
    made_at: Dated
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """Digest of the files' names and bytes: two artifacts with this in common are the same files."""
        return content_digest(self.files)


def content_digest(files: Mapping[str, FileFact]) -> str:
    """SHA-256 over the sorted names and digests of files."""
    return digest_of({name: fact.sha256 for name, fact in files.items()})


class FoundInput(Value):
    """One input of a stage, found: where it lies, the key that names it, and the digest of the bytes that are there.

    A source (the data manifest, a user's weights) is named by its content, so there ``content`` is the key.
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
        """This artifact as an input of another stage."""
        return FoundInput(path=self.folder, key=self.key, content=self.content)


class Miss(Value):
    """The store does not have it."""

    why: tuple[str, ...]
    """The fields that differ from the nearest stored entry, one a line; empty where there is no such entry to compare."""


class Ran(Value):
    """A stage was executed now."""

    outcome: Literal["ran"] = "ran"
    seconds: float
    why: tuple[str, ...]
    """Why the store did not already have it, a field a line."""


class Cached(Value):
    """The store had it."""

    outcome: Literal["cached"] = "cached"


class Skipped(Value):
    """Not needed."""

    outcome: Literal["skipped"] = "skipped"
    why: str


class Failed(Value):
    """It was tried and an error of ours says what went wrong."""

    outcome: Literal["failed"] = "failed"
    ref: str
    what: str
    hint: str | None = None
    missing: bool = Field(default=False, exclude_if=lambda missing: not missing)
    """This machine lacks what was needed, which says nothing of the kit."""

    @classmethod
    def of(cls, error: EdgecnnError) -> Failed:
        """In the error's own words."""
        return cls(ref=error.ref, what=error.line(), hint=error.hint, missing=getattr(error, "missing", False))


class Blocked(Value):
    """Something that it needs failed."""

    outcome: Literal["blocked"] = "blocked"
    by: str


class Unavailable(Value):
    """It cannot be had on this machine, and this command would bring it."""

    outcome: Literal["unavailable"] = "unavailable"
    why: str
    command: str | None = None

    @property
    def words(self) -> str:
        """Why, and the command where there is one."""
        return self.why if self.command is None else f"{self.why}; {self.command}"


Outcome = Ran | Cached | Skipped | Failed | Blocked | Unavailable


ABSENT = "absent"
"""The version of a distribution that is not installed: it enters the key, so that installing it makes another."""


class NetworkWithWeights(Value):
    """A network whose pretrained weights are on this machine, offered in place of one that has none here."""

    arch: str
    top1: float | None
    """Published top-1 on ImageNet-1k, 0…1; None where nobody published a figure."""
    macs: int | None
    """Multiply-adds for one image at the published resolution."""
    instead_of_top1: float | None
    instead_of_macs: int | None
    """The same of the network that was asked for."""

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
    """What ``--weights`` came to on this machine. Only what is fetched enters a key; where it lay does not."""

    choice: str
    """What was asked: auto, imagenet, none, or a path."""
    kind: Literal["cached", "package", "download", "file", "onnx", "none"]
    """cached: store or torch hub. onnx: the weights inside a custom model. none: from scratch, and ``why`` says
    whether by wish or for want of weights."""
    path: str | None = None
    """Where it lies on this machine: a file, or the store's folder of the fetched weights. None before a download."""
    sha256: str | None = None
    """Of the original file, where it is known before fetching."""
    asked: bool = False
    """True when the network was asked."""
    what: str = ""
    """Which weights these are, as a noun."""
    lacking: str | None = None
    """Why none are pretrained, and what brings them; None where some are, or none were wished for."""
    why: str
    """One sentence."""
    alternative: NetworkWithWeights | None = Field(default=None, exclude_if=lambda alternative: alternative is None)
    """Where no pretrained weights are available: the best network that has some here."""

    @classmethod
    def starting(cls, what: str, **facts: Any) -> Self:
        """The answer where training starts from these weights."""
        return cls(what=what, why=f"training starts from {what}", **facts)

    def kept(self) -> Self:
        """The same weights, where nothing is trained."""
        return self.model_copy(update={"why": f"nothing is trained, and the head is kept, of {self.what}"})

    @property
    def pretrained(self) -> bool:
        """True when training begins from weights that were learned before."""
        return self.kind != "none"

    @property
    def fell_back(self) -> bool:
        """True when weights were wished for (``auto``) and none could be had: to be said loudly, never silently."""
        return self.kind == "none" and self.choice == "auto"
