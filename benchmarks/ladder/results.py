"""What a race of the ladder found of one network: the JSON beside this file, whose schema is ``schema.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.figures import Accuracy
from edgecnn.values.verdict import Interval

FOLDER = Path(__file__).parent / "results"
BUDGET_PP = 1.0
"""What a column may lose of the trained network's top-1, as estimated on the test images, to be raced for the ratio."""
Phase = Literal["screen", "select", "final"]


class RunMedian(Value):
    """One fresh process."""

    phase: Phase
    round: int
    position: int
    median_ms: float


class Share(Value):
    """Of one network: precision (of bytes: element type) to share."""

    macs: Mapping[str, float]
    time: Mapping[str, float] | None
    bytes: Mapping[str, float] | None


class Layer(Value):
    """One executed layer of the chosen kit."""

    name: str
    op: str
    precision: str
    time_share: float


class Column(Value):
    """One rung of ours, or one rival."""

    id: str
    title: str
    whose: Literal["edgecnn", "rival"]
    accuracy: Accuracy | None
    """At the resolution of training, on the test images, with the paired drop from fp32 in ONNX Runtime."""
    size_mib: float | None = None
    """Of the model's own files."""
    residency: Share | None = None
    """Of the kit that was timed."""
    verdict: str | None = None
    """Of the 64 px build's gates."""
    reason: str = ""
    """Of a rung: why the 64 px build ships it, or not. Of a column that did not run: why not."""
    surgery: str = ""
    """What was changed in the network that this rung of ours is made of, in words; nothing where it is the network as given."""
    runs: tuple[RunMedian, ...] = ()

    @property
    def inside(self) -> bool:
        """Whether the estimated loss is inside the budget."""
        if self.accuracy is None:
            return False
        return self.accuracy.drop_pp is None or self.accuracy.drop_pp.estimate <= BUDGET_PP

    @property
    def as_given(self) -> bool:
        """Whether it computes the network that was trained, and not one that surgery changed."""
        return not self.surgery

    def of(self, phase: Phase) -> dict[int, float]:
        """Round to median, in milliseconds."""
        return {run.round: run.median_ms for run in self.runs if run.phase == phase}

    @property
    def selection_medians(self) -> dict[int, float]:
        """Round to median, in milliseconds: of the selecting rounds, or of the screening rounds where it had none."""
        return self.of("select") or self.of("screen")


class NetworkResult(Value):
    """One network."""

    schema_: Literal["edgecnn.benchmark-ladder/2"] = Field(default="edgecnn.benchmark-ladder/2", alias="schema")
    network: str
    measured_at: str
    machine: str
    versions: Mapping[str, str]
    load_average: float
    """Of the last 15 minutes, when the race ended."""
    trained_px: int
    raced_px: int
    weights: str
    top1_fp32: Interval
    train_s: float
    ladder_s: float | None
    """Of the whole 64 px build but the network's training (that of surgery is counted in); None where no call made just these."""
    columns: tuple[Column, ...]
    chosen: str
    """Ours of the network as given that ran in the final rounds: by the rule of builds, of the selecting rounds."""
    best_rival: str
    """The rival inside the budget with the least median in the final rounds."""
    ratio: Interval | None
    """Best rival / chosen, paired by final round: above 1, ours is faster."""
    ratio_to_base: Interval | None
    """ONNX Runtime fp32 / chosen."""
    changed: str | None = None
    """Ours after surgery that ran in the final rounds too, chosen in the same way; None where there is none inside the budget."""
    ratio_changed: Interval | None = None
    """Best rival / changed. The rival computes the network as given."""
    layers: tuple[Layer, ...] = ()
    """Of the chosen kit, the most of the time first."""
    layers_total: int = 0

    def column(self, name: str) -> Column:
        """By its id."""
        return next(column for column in self.columns if column.id == name)


class Photographs(Value):
    """EfficientNet-Lite0 with ImageNet weights, fine-tuned on photographs."""

    schema_: Literal["edgecnn.benchmark-photographs/2"] = Field(default="edgecnn.benchmark-photographs/2", alias="schema")
    measured_at: str
    machine: str
    images: Mapping[str, int]
    resolution_px: int
    weights: str
    chosen: str | None
    candidates: Mapping[str, Accuracy]
    """Of the report photographs."""
    verdicts: Mapping[str, str]


def write(result: Value, path: Path) -> None:
    """As indented JSON, in one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(result.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")
    beside.replace(path)


def read_all(folder: Path, networks: Sequence[str]) -> list[NetworkResult]:
    """Those of these networks that were raced, in this order."""
    files = [folder / f"{name}.json" for name in networks]
    return [NetworkResult.model_validate_json(file.read_bytes()) for file in files if file.is_file()]
