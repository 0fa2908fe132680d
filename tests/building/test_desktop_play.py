"""A GPU's part, way by way: who fails is named and the others go on. The host is made up; the session has tests of its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from edgecnn.building.desktop_gpu import desktop_baseline, local_record, measure_desktop_gpu
from edgecnn.building.execute import Execution
from edgecnn.building.notices import notices
from edgecnn.devices.desktop_gpu import local_gpu
from edgecnn.measure.evaluate import PixelSet
from edgecnn.measure.subject import Subject
from edgecnn.planning.plan import plan
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Blocked, Failed
from edgecnn.values.profile import ExtraRuns
from edgecnn.values.verdict import Fidelity
from tests.building.resolutions import resolved
from tests.building.scenes import an_artifact
from tests.measure.labs import FakeHost, lab_at

H200 = "NVIDIA H200"
ALL = ("torch-fp32", "torch-tf32", "torch-amp", "torch-fp32-cudagraph", "torch-amp-cudagraph", "torch-fp32-compiled")


class Stand:
    """A machine that says it has an H200, on which every kit was packaged."""

    def __init__(self, folder: Path, *kits: str) -> None:
        gpu = local_gpu([H200], {"torch": "2.15.0", "torchvision": "0.29.2"}, "all")
        self.host, self.folder = FakeHost(), folder
        self.lab = lab_at(self.host, Store.open(folder / "store"))
        self.execution = Execution(plan=plan(resolved(desktop_gpu=gpu)))
        self.digests: dict[str, str] = {}
        for name in kits:
            self.execution.artifacts[f"package:{name}"] = self._kit(name)
        prepared = an_artifact("prepare", folder / "prepared")
        np.save(prepared.folder / "test.labels.npy", np.arange(12) % 3)
        self.execution.artifacts["prepare"] = prepared
        np.save(folder / "pixels.npy", np.full((12, 8, 8, 3), 7, np.uint8))
        digest = hashlib.sha256((folder / "pixels.npy").read_bytes()).hexdigest()
        self.pixels = PixelSet(split="test", file=folder / "pixels.npy", sha256=digest, images=12)

    def _kit(self, name: str) -> Artifact:
        session = {"module": "torch_gpu", "options": {"name": name}}
        text = json.dumps({"name": name, "model": {"batch_max": 4}, "session": session, "stands_for": None})
        made = an_artifact("package", self.folder / name, {"kit.json": text})
        self.digests[name] = hashlib.sha256(text.encode()).hexdigest()
        facts = {"kit.json": made.record.files["kit.json"].model_copy(update={"sha256": self.digests[name]})}
        return made.model_copy(update={"record": made.record.model_copy(update={"files": facts})})

    def played(self, extra_runs: ExtraRuns | None = None) -> Subject:
        found = measure_desktop_gpu(self.execution, self.lab, self.pixels, extra_runs or ExtraRuns())
        assert found is not None
        return found

    def seen(self, played: Subject) -> Subject:
        seen = Subject.from_build(self.execution.plan.resolved, self.lab)
        seen.prepared, seen.desktop = self.execution.artifacts["prepare"].folder, played
        return seen


def stand(folder: Path, *kits: str) -> Stand:
    return Stand(folder, *(kits or ALL))


def test_all_ways_race_interleaved_in_one_race_and_are_filed_under_the_gpu_s_name(tmp_path: Path) -> None:
    played = stand(tmp_path).played()
    assert (played.failures.get(played.reference), list(played.raced("baseline"))) == (None, list(ALL))
    assert len({profile.race for profile in played.raced("baseline").values()}) == 1
    assert {profile.device for profile in played.raced("baseline").values()} == {"h200"}
    assert all(profile.host.startswith(f"{H200}, ") for profile in played.raced("baseline").values())


def test_one_that_breaks_is_missing_with_its_own_words_and_the_others_have_figures(tmp_path: Path) -> None:
    there = stand(tmp_path)
    there.host.broken[there.digests["torch-fp32-compiled"]] = "torch could not run it: no kernel"
    played = there.played()
    seen = there.seen(played)
    facts = desktop_baseline(seen)
    missing = next(each for each in facts.variants if each.id == "torch-fp32-compiled")
    assert (facts.device, facts.latency.fidelity) == ("h200", Fidelity.MEASURED)
    assert (missing.latency.fidelity, missing.latency.reason) == (Fidelity.MISSING, "torch could not run it: no kernel")
    assert [each.id for each in facts.variants if each.latency.p50_ms] == list(ALL[1:-1])
    said = notices(seen, anew="")
    assert [line for line in said if line == f"{H200} has no figures for torch-fp32-compiled: {missing.latency.reason}"]


def test_a_variant_s_drop_is_against_the_reference_s_own_answers(tmp_path: Path) -> None:
    there = stand(tmp_path)
    amp = next(each for each in desktop_baseline(there.seen(there.played())).variants if each.id == "torch-amp")
    assert amp.accuracy is not None and amp.accuracy.drop_pp is not None
    assert (amp.accuracy.drop_pp.estimate, amp.accuracy.discordant, amp.accuracy.images) == (0, 0, 12)
    assert amp.latency.ratio_to_fp32 is not None


def test_without_the_reference_nothing_stands_beside_it(tmp_path: Path) -> None:
    there = stand(tmp_path)
    there.host.broken[there.digests["torch-fp32"]] = "CUDA out of memory"
    played = there.played()
    facts = desktop_baseline(there.seen(played))
    assert played.failures["torch-fp32"].what == "CUDA out of memory"
    assert (facts.device, facts.variants, facts.latency.p50_ms) == ("rtx-4090", (), None)
    assert (facts.latency.reason or "").startswith(f"{H200} is here but could not run it: CUDA out of memory, ")


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (Failed(ref="x", what="the disk is full", hint=None), "the disk is full"),
        (Blocked(by="program:torch-fp32"), "program:torch-fp32 failed"),
        (None, "its kit was not made"),
    ],
)
def test_a_kit_that_was_not_made_says_why(tmp_path: Path, outcome: Failed | Blocked | None, why: str) -> None:
    there = stand(tmp_path, "torch-fp32", "torch-amp")
    if outcome is not None:
        there.execution.outcomes["variant:torch-tf32"] = outcome
    played = there.played()
    assert played.failures["torch-tf32"].what == why
    assert list(played.raced("baseline")) == ["torch-fp32", "torch-amp"]


def test_batches_are_asked_of_every_way_and_the_best_of_each_is_found(tmp_path: Path) -> None:
    there = stand(tmp_path, "torch-fp32", "torch-amp")
    there.host.batch_cost = {2: 1.5, 4: 9.0}
    record = local_record(there.seen(there.played(ExtraRuns(batches=(4,), best_batch=True, end_to_end=True, soak_s=60.0))))
    assert record is not None
    for found in (record.throughput, record.variants[1].throughput):
        assert found is not None
        assert [(each.batch, each.asked, each.best) for each in found.figures] == [(2, False, True), (4, True, False)]
    assert record.variants[0].throughput is None, "it has no kit"


def test_what_was_not_asked_of_batches_is_not_measured(tmp_path: Path) -> None:
    there = stand(tmp_path, "torch-fp32", "torch-amp")
    played = there.played()
    assert (played.throughput, played.batch_screens, list(played.races)) == ([], {}, ["baseline"])
    assert len(there.host.calls) == 3, "two evaluations and one race"


def test_a_second_build_starts_no_process_not_even_for_one_that_fails(tmp_path: Path) -> None:
    there = stand(tmp_path, "torch-fp32", "torch-amp")
    there.host.broken[there.digests["torch-amp"]] = "no kernel"
    there.played()
    there.host.calls.clear()
    again = there.played()
    assert (there.host.calls, again.failures["torch-amp"].what, "torch-fp32" in again.raced("baseline")) == (
        [],
        "no kernel",
        True,
    )
