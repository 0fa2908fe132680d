"""What a stranger's board is asked, in which order and for how long, on a machine whose times are a formula."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.bench import evidence
from edgecnn.bench import evidence as of_evidence
from edgecnn.bench.evidence import NETWORKS, EvidenceRequest, evidence_of, planned_rounds, planned_run_s
from edgecnn.building.untrained_kits import KitMaker, MadeKits
from edgecnn.bundle.evidence import EvidenceRecord
from edgecnn.devices import desktop_gpu as of_gpus
from edgecnn.devices import machine as of_evidence_machine
from edgecnn.devices.desktop_gpu import REFERENCE
from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import OUTPUT_UNUSABLE
from edgecnn.errors.hosts import LINK_LOST, link_lost
from edgecnn.errors.measuring import EVIDENCE_ELSEWHERE, NOTHING_IN_EVIDENCE
from edgecnn.errors.weights import DOWNLOAD_FAILED
from edgecnn.installed import resource_folder
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult
from edgecnn.measure.race_request import RaceRequest
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.candidates import BASELINE
from edgecnn.runner.machine.environment import read_environment
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed, WeightsAnswer
from edgecnn.values.board import HostRequest
from edgecnn.values.layers import LayerMacs, MacTable
from edgecnn.values.profile import Environment, Purpose
from edgecnn.values.report import BuildReport
from edgecnn.values.resolved import Attachment
from tests.building.resolutions import INT8
from tests.building.scenes import a_kit, a_race_profile, an_artifact
from tests.judging.made import a_residency
from tests.store.toys import Ear

MACS = MacTable(resolution_px=224, layers=(LayerMacs(name="c", op="Conv", macs=300_000_000, outputs=()),))


class Board:
    """Plays what makes kits and what runs them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.ear = folder, Ear()
        self.races: list[RaceRequest] = []
        self.broken: dict[str, Exception] = {}
        """Network to what making its kits raises."""
        self.lost_at = 99
        self.untested: dict[str, str] = {}
        self.clock = 0.0
        self.each_s = 60.0
        self.answer = WeightsAnswer(choice="auto", kind="none", why="they are not in /home/me/.cache, and nobody answers")
        monkeypatch.setattr(KitMaker, "kits", lambda _, probe, candidates, fetched=None: self.kits(probe.arch, candidates))
        monkeypatch.setattr(KitMaker, "gpu_kits", lambda _, probe, ways, fetched=None: self.kits(probe.arch, ways))
        monkeypatch.setattr(KitMaker, "mac_table", lambda *_: MACS)
        monkeypatch.setattr(of_evidence, "candidates_of", lambda *_: ((BASELINE, INT8), (), {}))
        monkeypatch.setattr(evidence, "answer_weights", lambda *_, **__: self.answer)
        for module in (evidence, evidence):
            monkeypatch.setattr(module, "race", self.race)
            monkeypatch.setattr(module, "why_not_runnable", self.why_untested)
            monkeypatch.setattr(module, "monotonic", lambda: self.clock)
        ran = a_residency(mac={"fp32": 1.0})
        monkeypatch.setattr(evidence, "residency", lambda *_: SimpleNamespace(profile=SimpleNamespace(residency=ran)))

    def why_untested(self, kit: KitRef, lab: Lab) -> Failed | None:
        why = self.untested.get(kit.candidate.id)
        return None if why is None else Failed(ref="golden-logits-differ", what=why)

    def kits(self, arch: str, candidates: Any) -> MadeKits:
        if arch in self.broken:
            raise self.broken[arch]
        made = {
            each.id: a_kit(self.folder / f"{arch}-{each.id}-{len(self.races)}", each, arch.encode() * 9) for each in candidates
        }
        return MadeKits(made, {})

    def race(self, request: RaceRequest, lab: Lab) -> RaceResult:
        self.races.append(request)
        if len(self.races) == self.lost_at:
            raise link_lost(board="pi", doing="bench")
        self.clock += self.each_s
        profiles = {kit.entrant: self.profile(kit, request.purpose, lab.environment) for kit in request.kits}
        return RaceResult(race="r", observed_at="2026-11-20T09:00:00+00:00", profiles=profiles, failed={}, reused=False)

    @staticmethod
    def profile(kit: KitRef, purpose: Purpose, environment: Environment) -> Any:
        ran = environment.model_copy(update={"conditions": {**environment.conditions, "runtime_version": "1.23.0"}})
        ms = 4.0 if kit.candidate.id in (BASELINE.id, REFERENCE.id) else 2.0
        return a_race_profile(kit.digest, ms, purpose=purpose, race="r", environment=ran)

    def measured(self, minutes: float = 30.0, device: str = "cpu", **asked: Any) -> EvidenceRecord:
        request = EvidenceRequest(device_named(device), None, None, None, minutes)._replace(**asked)
        return evidence_of(request, Store.open(self.folder / "store"), self.ear)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield Board(tmp_path, monkeypatch)


def test_six_networks_of_different_blocks_are_measured_in_every_candidate_and_nothing_is_left_out(board: Board) -> None:
    found = board.measured()
    assert tuple(each.arch for each in found.networks) == NETWORKS
    assert len({arch_named(name).family for name in NETWORKS}) == 5
    assert (found.left_out, found.device, found.minutes, found.seconds) == ({}, "cpu", 30.0, 360.0)
    for network in found.networks:
        assert (network.resolution_px.stated, network.classes, network.macs) == (224, 1000, 300_000_000)
        assert [kit.candidate.id for kit in network.kits] == [BASELINE.id, INT8.id]
    fp32, int8 = found.networks[0].kits
    assert (fp32.latency.p50_ms, int8.latency.p50_ms) != (None, None)
    assert fp32.latency.ratio_to_fp32 is None
    assert int8.latency.ratio_to_fp32 is not None and int8.latency.ratio_to_fp32.estimate == pytest.approx(2.0)
    assert (int8.runtime_version, int8.latency.runs) == ("1.23.0", 8)


def test_the_device_file_is_named_with_the_digest_that_sha256sum_prints(board: Board) -> None:
    content = (resource_folder("devices") / "cpu.toml").read_bytes()
    assert board.measured().device_sha256 == hashlib.sha256(content).hexdigest()


def test_networks_that_do_not_fit_the_minutes_are_named_and_the_first_is_always_measured(board: Board) -> None:
    board.each_s = 100.0
    found = board.measured(minutes=5.0)
    assert tuple(each.arch for each in found.networks) == NETWORKS[:3]
    assert tuple(found.left_out) == NETWORKS[3:]
    assert all("5 minutes" in why and "--minutes" in why for why in found.left_out.values())
    assert found.seconds <= 60 * 5
    assert [note.split()[0] for note in board.ear.notes if "5 minutes" in note] == list(NETWORKS[3:])
    board.each_s = 1e4
    assert len(board.measured(minutes=5.0).networks) == 1


@pytest.mark.parametrize("kits", [1, 2, 5, 9])
@pytest.mark.parametrize("minutes", [1, 8, 15, 30, 60])
def test_runs_are_as_long_as_the_minutes_allow(minutes: float, kits: int) -> None:
    run_s = planned_run_s(minutes, kits)
    assert 1.0 <= run_s <= 10.0
    planned_s = len(NETWORKS) * kits * (8 * (run_s + 2) + 8)
    assert run_s == 1.0 or planned_s <= 60 * minutes


def test_the_same_minutes_ask_the_same_race_so_that_a_stored_one_serves(board: Board) -> None:
    board.measured(minutes=8.0)
    first = board.races[:]
    assert {(each.purpose, each.rounds, each.max_age_h) for each in first} == {("evidence", 8, 24.0)}
    assert {each.max_s for each in first} == {planned_run_s(8.0, 2)}


def test_a_board_that_drops_in_the_middle_ends_the_call_in_the_words_that_go_on(board: Board) -> None:
    board.lost_at = 3
    with pytest.raises(EdgecnnError, check=LINK_LOST.made):
        board.measured()


def test_a_network_that_cannot_be_made_is_named_without_anybody_s_paths(board: Board) -> None:
    board.broken["resnet-18"] = OUTPUT_UNUSABLE(folder=Path("/home/ann/.cache/edgecnn"), because="no")
    found = board.measured()
    assert "resnet-18" not in [each.arch for each in found.networks]
    assert "/home" not in found.left_out["resnet-18"] and "/ann" not in found.left_out["resnet-18"]
    assert "…/edgecnn" in found.left_out["resnet-18"]


def test_a_kit_that_fails_its_own_test_has_no_figures_and_a_reason(board: Board) -> None:
    board.untested[INT8.id] = "it answers otherwise than when it was packed"
    network = board.measured().networks[0]
    assert [kit.candidate.id for kit in network.kits] == [BASELINE.id]
    assert network.failed == {INT8.id: "it answers otherwise than when it was packed"}


def test_where_nothing_could_be_timed_there_is_no_record(board: Board) -> None:
    board.untested = {BASELINE.id: "no such instruction", INT8.id: "no such instruction"}
    with pytest.raises(EdgecnnError, match="onnxruntime-fp32: no such instruction", check=NOTHING_IN_EVIDENCE.made):
        board.measured()


def test_a_device_that_is_not_here_is_refused_before_anything_is_made(board: Board) -> None:
    board.broken = dict.fromkeys(NETWORKS, AssertionError("made"))  # type: ignore[arg-type]
    with pytest.raises(EdgecnnError, match="this machine is ", check=EVIDENCE_ELSEWHERE.made) as refusal:
        board.measured(device="raspberry-pi-5")
    assert refusal.value.fields["device"] == "raspberry-pi-5"


def test_seeded_weights_are_never_called_pretrained_and_why_they_are_is_told_here_and_not_sent(board: Board) -> None:
    found = board.measured()
    assert {each.weights.origin for each in found.networks} == {"seeded"}
    assert "pretrained" not in found.model_dump_json()
    assert "/home/me" not in found.model_dump_json()
    assert [note for note in board.ear.notes if note.startswith("mobilenet-v2 ") and "nobody answers" in note]


def test_published_weights_are_named_by_their_digest_and_a_download_that_fails_is_told(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.answer = WeightsAnswer(choice="auto", kind="download", why="downloaded")
    fetched = an_artifact("fetch", board.folder / "fetched", {"weights.json": '{"sha256": "5c1", "licence": "BSD-3-Clause"}'})
    monkeypatch.setattr(KitMaker, "fetched", lambda *_: fetched)
    weights = board.measured().networks[0].weights
    assert (weights.origin, weights.sha256, weights.licence) == ("published", "5c1", "BSD-3-Clause")
    assert weights.what.startswith("ImageNet-1k weights (")

    def broken(*_: object) -> None:
        raise DOWNLOAD_FAILED(url="https://x/y.pth", reason="the connection broke", received=1)

    monkeypatch.setattr(KitMaker, "fetched", broken)
    assert board.measured().networks[0].weights.origin == "seeded"
    assert any("the connection broke" in note for note in board.ear.notes)


def test_the_machine_s_digest_is_not_sent_and_what_stands_for_it_is_one_store_s_from_record_to_record(board: Board) -> None:
    """A Raspberry Pi's serial number has few unknown bits, and its host name is usually raspberrypi: both can be tried."""
    own = read_environment()["conditions"]["machine"]
    sent, again = board.measured(), board.measured()
    assert own not in sent.model_dump_json()
    (name,) = {each.environment.conditions["machine"] for found in (sent, again) for each in (found, *found.networks[0].kits)}
    board.folder /= "another"
    assert board.measured().environment.conditions["machine"] != name


def test_nothing_of_a_record_is_a_report_of_a_build() -> None:
    """Gates take rows of candidates: a reference is none."""
    assert "references" in BuildReport.model_fields
    assert "gates" not in EvidenceRecord.model_fields


@pytest.fixture
def gpu(board: Board, monkeypatch: pytest.MonkeyPatch) -> Board:
    """The same board with an H200."""
    monkeypatch.setattr(of_gpus, "gpu_models", lambda: ["NVIDIA H200"])
    monkeypatch.setattr(of_gpus, "installed_version", lambda name: None if name == of_gpus.TENSORRT else "2.14.0")
    monkeypatch.setattr(of_evidence, "attachment_of", lambda *_: Attachment(attached=True, why="it is here"))
    return board


def test_of_a_gpu_every_network_is_in_one_race_whose_kits_open_together(gpu: Board) -> None:
    found = gpu.measured(device="h200")
    assert tuple(each.arch for each in found.networks) == NETWORKS
    assert [(each.purpose, each.together, len(each.kits)) for each in gpu.races] == [
        ("evidence", True, 12), ("throughput", True, 12)
    ]  # fmt: skip
    fp32, amp = found.networks[0].kits
    assert (fp32.candidate.id, amp.candidate.id) == ("torch-fp32", "torch-amp-cudagraph")
    assert amp.latency.ratio_to_fp32 is not None and amp.latency.ratio_to_fp32.estimate == pytest.approx(2.0)
    assert fp32.throughput is not None and fp32.residency is None


def test_a_way_that_a_gpu_cannot_go_is_left_out_of_its_network_alone(gpu: Board) -> None:
    gpu.untested["torch-amp-cudagraph"] = "it answers otherwise than when it was packed"
    network = gpu.measured(device="h200").networks[0]
    assert [kit.candidate.id for kit in network.kits] == ["torch-fp32"]
    assert network.failed == {"torch-amp-cudagraph": "it answers otherwise than when it was packed"}


def test_every_way_is_asked_for_by_name_and_one_that_is_not_installed_says_so(gpu: Board) -> None:
    found = gpu.measured(device="h200", variants="all")
    assert len(found.networks[0].kits) == 6
    assert found.left_out["torch-fp32-tensorrt"] == "torch-tensorrt is not installed; pip install torch-tensorrt"


def test_where_no_time_is_left_images_a_second_are_not_measured_and_that_is_said(gpu: Board) -> None:
    gpu.each_s = 200.0
    found = gpu.measured(minutes=6.0, device="h200")
    assert len(gpu.races) == 1
    assert "6 minutes" in found.left_out["images a second"]


def test_rounds_of_a_gpu_s_race_fit_the_minutes_and_are_never_too_few_for_an_interval() -> None:
    assert (planned_rounds(1, 12), planned_rounds(11, 12), planned_rounds(30, 12)) == (7, 7, 8)


def test_a_gpu_at_the_other_end_of_a_link_is_refused(gpu: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def there(*_: Any) -> Iterator[Any]:
        yield of_evidence_machine.this_machine()

    monkeypatch.setattr(of_evidence, "machine_for", there)
    with pytest.raises(EdgecnnError, match="on the machine that edgecnn is installed on", check=EVIDENCE_ELSEWHERE.made):
        gpu.measured(device="h200", host=HostRequest(address="ann@box"))


def test_of_two_gpus_the_one_that_the_device_s_file_describes_is_timed(gpu: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_gpus, "gpu_models", lambda: ["NVIDIA GeForce RTX 4090", "NVIDIA H200"])
    for device, model in (("h200", "NVIDIA H200"), ("rtx-4090", "NVIDIA GeForce RTX 4090")):
        kits = gpu.measured(device=device).networks[0].kits
        assert {kit.candidate.session_options["gpu"] for kit in kits} == {model}


def test_a_gpu_that_torch_cannot_use_says_why(gpu: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_gpus, "installed_version", lambda _: "2.14.0+cpu")
    with pytest.raises(EdgecnnError, match="was built without CUDA", check=EVIDENCE_ELSEWHERE.made):
        gpu.measured(device="h200")
