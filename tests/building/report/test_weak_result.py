"""A weak accuracy says how weak it is and which option helps; what it names is on this machine."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecnn.building.notices import pretrained_here, weak_result_advice
from edgecnn.models.catalogue import all_archs, arch_named
from edgecnn.planning.candidates import BASELINE
from edgecnn.store.store import Store
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.recipe import Recipe
from edgecnn.values.verdict import Verdict
from tests.building.resolutions import resolved
from tests.building.scenes import CLASSES, IMAGES, Staging, a_report_of, a_request

LABELS = np.arange(IMAGES) % CLASSES
LITE = arch_named("efficientnet-lite0")
PACKAGES = {spec.weights.name for spec in all_archs() if spec.weights is not None and spec.weights.origin == "package"}


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache of torch or of the hub has weights, and no package is installed that does."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)  # as find_spec knows a package that is not there


@pytest.fixture
def lite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package with the weights of EfficientNet-Lite0 is installed."""
    assert LITE.weights is not None
    file = tmp_path / "site" / LITE.weights.name / LITE.weights.file
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    (tmp_path / "site" / LITE.weights.name / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, LITE.weights.name)
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()


def notice(folder: Path, share: float, *, never: int = 0, **changes: object) -> str | None:
    """What is said of a network that is right on this share, whose first ``never`` classes it never names."""
    staged = Staging(folder, **changes)
    named = np.where(np.arange(IMAGES) < share * IMAGES, LABELS, (LABELS + 1) % CLASSES)
    named = np.where(named < never, CLASSES // 2, named)
    staged.answered(BASELINE.id, 0)
    staged.logits(BASELINE.id, np.eye(CLASSES, dtype=np.float32)[named])
    found = a_report_of(staged, a_request(folder / "out", device=staged.resolved.device))
    return next((each for each in found.notices if each.startswith("weak result: ")), None)


def test_weights_on_this_machine_are_named_with_the_option_that_takes_them(tmp_path: Path, lite: None) -> None:
    weights = WeightsAnswer(choice="auto", kind="none", why="the network was silent")
    assert notice(tmp_path, 0.3, never=2, weights=weights) == (
        "weak result: onnxruntime-fp32 has 24.0 % top-1; 2 of 10 classes are never recognised ('a'; 'b'); "
        "pretrained weights of efficientnet-lite0 are on this machine: `--arch efficientnet-lite0`"
    )


def test_weights_that_were_declined_are_asked_for_again(tmp_path: Path, lite: None) -> None:
    said = notice(tmp_path / "other", 0.3)
    assert said is not None
    assert said.endswith("`--arch efficientnet-lite0 --weights auto`")
    own = resolved().model_copy(update={"arch": LITE})
    assert pretrained_here(own, Store.open(tmp_path / "store")) == LITE
    said = notice(tmp_path / "own", 0.3, arch=LITE)
    assert said is not None
    assert said.endswith("are on this machine: `--weights imagenet`")


def test_without_weights_here_more_images_or_epochs_are_named(tmp_path: Path) -> None:
    said = notice(tmp_path, 0.3)
    assert said is not None
    assert said.endswith("30.0 % top-1; more images may help, or a longer training: `--set train.epochs=4`")


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"mode": "finetune"}, "`--set train.epochs=4`"),
        ({"mode": "custom"}, "check the order of the classes and the preprocessing of the model"),
        ({"mode": "kept"}, "without --keep-head, the network learns these classes"),
        ({"weights": WeightsAnswer(choice="auto", kind="package", why="installed")}, "`--transfer all`"),
    ],
)
def test_the_advice_follows_from_how_the_network_began(
    changes: dict[str, object], advice: str, tmp_path: Path, lite: None
) -> None:
    assert weak_result_advice(resolved().model_copy(update=changes), Store.open(tmp_path)).endswith(advice)


def test_a_stated_resolution_or_scale_that_does_not_fit_is_not_advised(tmp_path: Path, lite: None) -> None:
    store = Store.open(tmp_path / "store")
    for model in ({"arch": "lenet-5", "resolution_px": 32}, {"arch": "lenet-5"}):
        assert pretrained_here(resolved().model_copy(update={"asked": Recipe.model_validate({"model": model})}), store) == LITE
    scaled = Recipe.model_validate({"model": {"arch": "mobilenet-v2", "scale": "depth=1,width=0.5"}})
    assert pretrained_here(resolved().model_copy(update={"asked": scaled}), store) is None


def test_of_a_good_result_nothing_is_said(tmp_path: Path) -> None:
    assert notice(tmp_path, 0.9) is None


def test_at_chance_level_the_verdict_is_open_and_its_gate_stands_first(tmp_path: Path) -> None:
    staged = Staging(tmp_path)
    staged.answered(BASELINE.id, 117)
    found = a_report_of(staged, a_request(tmp_path / "out", device=staged.resolved.device))
    assert found.verdict is Verdict.UNSURE
    assert [(each.gate.metric, each.gate.stated_by, each.verdict) for each in found.gates] == [
        ("top1", "chance", Verdict.UNSURE),
        ("drop_pp", "default", Verdict.PASS),
    ]
