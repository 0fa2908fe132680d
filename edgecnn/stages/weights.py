"""The fetch stage: convert published weights or a user's file to safetensors with our tensor names, and check the digest.

Settings identify the weights. Their location on this machine is found during the stage, so a cached, a packaged and a downloaded
copy have the same key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from edgecnn.errors.base import system_reason
from edgecnn.errors.weights import WEIGHTS_UNREADABLE, weights_changed
from edgecnn.installed import require_packages
from edgecnn.models.catalogue import arch_named, libraries_of
from edgecnn.models.compound import base_name
from edgecnn.store.disk import sha256_of
from edgecnn.training.settings import sleeping_threads
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.stage import Key, Progress, Role, Stage


class FetchStage(Stage):
    """Write ``weights.safetensors`` and ``weights.json`` {source, licence, sha256, file, arch, classes, parameters}.

    ``resume/`` holds a partial download, and is deleted at the end. Input: ``weights_file``, the user's file if any, whose key is
    its SHA-256.
    """

    kind: ClassVar[str] = "fetch"
    revision: ClassVar[int] = 1
    resumable: ClassVar[bool] = True

    arch: str
    origin: Literal["torchvision", "timm", "package", "file"]
    name: str = ""
    """Entry of the weights enum, or name of the distribution; empty for a file."""
    file: str = ""
    url: str | None = None
    sha256_prefix: str = ""
    licence: str = "as its owner says"
    source: str = "a file of the user"

    @property
    def tools(self) -> tuple[str, ...]:
        """The file format, and the library that renames the tensors of its networks."""
        return ("safetensors", *libraries_of(self.arch))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Find or download the original, check it, rename its tensors, and write them.

        Raises:
            MissingPackage: torch is not installed.
            DownloadFailed: the connection broke; the partial file stays in ``resume/``.
            WeightsCorrupt: the digest is not the published one.
            WeightsUnavailable: the package that contained the weights while planning was removed.
            WEIGHTS_CHANGED: the user's file changed since planning.
            WEIGHTS_UNREADABLE, WeightsDoNotFit: the file is damaged, or belongs to another network.
        """
        require_packages(("torch", "torchvision", "safetensors"), extra="train", needed_for="fetch")
        with sleeping_threads():
            from edgecnn.models.fetching import fetch_weights

        file = input_paths.get("weights_file")
        if file is not None:
            self._require_unchanged(file)
        fetch_weights(self.spec(), file, out, tell)

    @classmethod
    def from_answer(cls, spec: ArchSpec, answer: WeightsAnswer) -> FetchStage:
        """Return the stage for resolved weights that exist. A scaled network gets the stage of the unscaled network.

        Cached, packaged and downloaded weights give the same stage.
        """
        if answer.kind == "file" and answer.sha256 is not None:
            return cls(arch=base_name(spec.name), origin="file", inputs={"weights_file": Key(answer.sha256)})
        return cls.published(spec)

    @classmethod
    def published(cls, spec: ArchSpec) -> FetchStage:
        """Return the stage for a row's published weights, wherever they are. Its key shows whether the store has them."""
        weights = spec.weights
        if weights is None:
            raise ValueError(f"{spec.name} has no published weights: an answer of kind none needs no fetch")
        return cls(
            arch=base_name(spec.name),
            origin=weights.origin,
            name=weights.name,
            file=weights.file,
            url=weights.url,
            sha256_prefix=weights.sha256_prefix,
            licence=weights.licence,
            source=weights.source,
        )

    def spec(self) -> ArchSpec:
        """Return the catalogue's row with this stage's weights."""
        row = arch_named(self.arch)
        if self.origin == "file" or row.weights is None:
            return row
        names = ("origin", "name", "file", "url", "sha256_prefix", "licence", "source")
        return row.model_copy(update={"weights": row.weights.model_copy(update={name: getattr(self, name) for name in names})})

    def _require_unchanged(self, file: Path) -> None:
        planned = self.inputs["weights_file"]
        try:
            actual = sha256_of(file)
        except OSError as error:
            raise WEIGHTS_UNREADABLE(path=file, reason=system_reason(error)) from error
        if actual != planned:
            raise weights_changed(path=file, planned=planned, sha256=actual)
