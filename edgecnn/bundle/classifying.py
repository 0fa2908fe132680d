"""A kit of a verified bundle that classifies images in a sandbox.

The sandbox runs edgecnn's own runner, never the bundle's. It reads a private copy of the kit, whose bytes were verified while
they were copied, so a bundle that changes meanwhile has no effect. Images are sent to it as bytes and decoded there.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar

from pydantic import Field, ValidationError

from edgecnn.bundle.kit_answers import DecodingLimits
from edgecnn.bundle.manifest import BundleManifest
from edgecnn.bundle.predictions import LabelShare
from edgecnn.bundle.verify import Verified, unpack_bundle
from edgecnn.errors.comparing import kit_not_carried
from edgecnn.errors.hosts import KIT_NOT_SANDBOXED, MODEL_TIMED_OUT, OWN_ANSWER_UNUSABLE, RunnerFailed, model_crashed
from edgecnn.hosts.sandbox import Allowed, Crashed, Sandbox, TimedOut, confinement, needs_of
from edgecnn.results.folder import CHOICE
from edgecnn.results.shipped import kits_that_run_here, remedy_here
from edgecnn.values.base import Value
from edgecnn.values.sandbox import Confinement

_OPENING_S: Final = 300.0
IMAGE_S: Final = 120.0
"""Time-out of one image. A network takes seconds on a slow processor, and the largest image as long."""
_MODULE: Final = "edgecnn.bundle.kit_answers"


class Classified(Value):
    """The answer to one image: its labels, the most probable first, or why it cannot be read."""

    labels: Annotated[tuple[LabelShare, ...], Field(max_length=1_000_000)] = ()
    decode_ms: float = 0.0
    """Time of decoding, rotation, resizing and cropping."""
    inference_ms: float = 0.0
    """Time from pixels to probabilities."""
    unreadable: str | None = None


class _OpenedKit(Value):
    kit: str
    knobs: dict[str, str]
    classes: int
    several: bool


class KitProcess:
    """An open kit in a sandbox. One image is classified at a time. After a crash, the next image starts another process."""

    def __init__(self, folder: Path, name: str, *, sandboxed: bool = True) -> None:
        """Open the kit in a private folder.

        ``name``: of the kit, in errors. ``sandboxed``: False for a trusted kit that cannot run in a sandbox.

        Raises RunnerFailed: the kit does not run here. MODEL_CRASHED, MODEL_TIMED_OUT: its runtime crashed, or hangs.
        """
        self._folder, self._name = folder, name
        self._allowed = Allowed(read=(folder, folder.parent.parent / CHOICE), sandboxed=sandboxed)
        self._lock, self._running = threading.Lock(), ExitStack()
        self._opened = self._open()

    @property
    def sha256(self) -> str:
        """SHA-256 of the ``kit.json`` that the session loaded."""
        return self._opened.kit

    @property
    def knobs(self) -> Mapping[str, str]:
        """The session's knobs."""
        return self._opened.knobs

    @property
    def classes(self) -> int:
        """Number of the model's classes."""
        return self._opened.classes

    @property
    def several(self) -> bool:
        """Whether the network is multi-label."""
        return self._opened.several

    def classify(self, image: bytes, top: int | None = None, limits: DecodingLimits | None = None) -> Classified:
        """Classify an image.

        ``top``: number of labels; None, and every multi-label network: all labels that reach their thresholds. ``limits``: None
        for an image of the user's own.

        Raises RunnerFailed: the runtime failed. MODEL_CRASHED, MODEL_TIMED_OUT: it crashed, or took too long.
        """
        with self._lock:
            if self._sandbox.ended:
                self._opened = self._open()
            bounds = limits and {limit.name: getattr(limits, limit.name) for limit in fields(DecodingLimits)}
            arguments = {"kit": str(self._folder), "top": top, "limits": bounds}
            return _validated(Classified, self._call("answer_image", arguments, IMAGE_S, image))

    def close(self) -> None:
        """End the process."""
        self._running.close()

    def _open(self) -> _OpenedKit:
        self._running.close()
        self._sandbox = self._running.enter_context(Sandbox(self._allowed))
        try:
            return _validated(_OpenedKit, self._call("open_kit", {"kit": str(self._folder)}, _OPENING_S))
        except BaseException:
            self._running.close()
            raise

    def _call(self, function: str, arguments: Mapping[str, Any], limit_s: float, content: bytes = b"") -> Any:
        try:
            return self._sandbox.call(f"{_MODULE}:{function}", arguments, limit_s=limit_s, content=content)
        except Crashed as error:
            raise model_crashed(kit=self._name, code=error.code, ending=error.sentence) from error
        except TimedOut as error:
            raise MODEL_TIMED_OUT(kit=self._name, limit_s=limit_s) from error


_Answer = TypeVar("_Answer", bound=Value)


def _validated(kind: type[_Answer], value: Any) -> _Answer:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise OWN_ANSWER_UNUSABLE(doing="classifying", because=error.errors(include_url=False)[0]["msg"]) from error


class OpenKit(NamedTuple):
    """An open kit of a verified bundle."""

    process: KitProcess
    manifest: BundleManifest
    candidate: str
    confinement: Confinement


@contextmanager
def opened_kit(bundle: Verified, candidate: str | None) -> Iterator[OpenKit]:
    """Open one of a verified bundle's kits for the block.

    ``candidate``: the candidate whose kit is used; None: the chosen candidate.

    Raises KitNotCarried: the bundle has no such kit, or no chosen candidate. RunnerFailed: the kit does not run here.
    KIT_NOT_SANDBOXED: it needs a GPU or a browser, and the user did not state that it was made here. MODEL_CRASHED,
    MODEL_TIMED_OUT: see ``KitProcess``. BUNDLE_FILE_CHANGED: the bundle changed since it was verified.
    """
    name = candidate or bundle.contents.chosen
    if name is None or name not in bundle.contents.kits:
        here = kits_that_run_here(bundle.contents.manifests, bundle.opened.path)
        raise kit_not_carried(folder=Path(bundle.facts.path), candidate=name, carried=bundle.contents.kits, here=here)
    needs = needs_of(bundle.contents.manifests[name].session.module)
    if needs is not None and not bundle.trusted:
        raise KIT_NOT_SANDBOXED(kit=name, needs=needs)
    with tempfile.TemporaryDirectory(prefix="edgecnn-bundle-") as folder:
        unpack_bundle(bundle, Path(folder), kit=name)
        try:
            process = KitProcess(Path(folder) / "kits" / name, name, sandboxed=needs is None)
        except RunnerFailed as error:
            hint = remedy_here(error.hint, bundle.contents.manifests, bundle.opened.path, name)
            raise RunnerFailed(ref=error.ref, what=error.what, because=error.because, hint=hint, missing=error.missing) from error
        try:
            yield OpenKit(process, bundle.manifest, name, confinement(sandboxed=needs is None))
        finally:
            process.close()
