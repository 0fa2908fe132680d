"""Small real stages: they write real files, and pause where a test wants to interrupt them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgecnn.store.entry import StageInputs
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Cached, FoundInput, Ran
from edgecnn.values.base import Value
from edgecnn.values.stage import Progress, Role, Stage, digest_of

VERSIONS = {"onnxruntime": "1.30"}
ENVIRONMENT = {"machine": "this one", "python": "3.11.7"}


class Scheme(Value):
    bias: str = "int32"
    granularity: str = "per-channel"


class Quantize(Stage):
    kind: ClassVar[str] = "quantize"
    revision: ClassVar[int] = 1

    images: int = 256
    scheme: Scheme = Scheme()
    note: str | None = None
    steps: tuple[Scheme, ...] = ()

    @property
    def tools(self) -> tuple[str, ...]:
        return ("onnxruntime",)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        tell.step("quantize", 1, 1)
        tell.note(f"calibrated on {self.images} images")
        (out / "sub").mkdir()
        (out / "model.onnx").write_bytes(f"{self.images} {self.scheme}".encode() * 100)
        (out / "sub" / "facts.json").write_text("{}")


class Train(Stage):
    """Ten epochs, one file each; continues after the last that is there."""

    kind: ClassVar[str] = "train"
    revision: ClassVar[int] = 1
    resumable: ClassVar[bool] = True

    epochs: int = 10

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        (out / ".checkpoint").write_text("this stage's own")
        for epoch in range(self.epochs):
            path = out / f"epoch-{epoch}.txt"
            if path.exists():
                tell.note(f"epoch {epoch} was there")
                continue
            path.write_text(f"epoch {epoch}")
            tell.step("train", epoch + 1, self.epochs)


class Prepare(Train):
    """The same, but it starts anew each time."""

    kind: ClassVar[str] = "prepare"
    resumable: ClassVar[bool] = False


class Ear:
    """Hears what is told; may pause at a step."""

    def __init__(self, at_step: Callable[[int], None] | None = None) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[str, int, int | None, str]] = []
        self._at_step = at_step

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        self.steps.append((what, done, total, unit))
        if self._at_step:
            self._at_step(done)

    def note(self, text: str) -> None:
        self.notes.append(text)


def obtain(store: Store, stage: Stage, **changed: Any) -> tuple[Artifact, Ran | Cached]:
    known: dict[str, Any] = {"versions": VERSIONS, "inputs": {}, "environment": ENVIRONMENT}
    under = StageInputs(**{name: changed.pop(name, default) for name, default in known.items()})
    return store.artifacts.obtain(stage, under, **{"tell": Ear(), **changed})


def source(path: Path, text: str) -> FoundInput:
    """A user's file as an input, named by its content."""
    path.write_text(text)
    digest = digest_of(text)
    return FoundInput(path=path, key=digest, content=digest)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)
