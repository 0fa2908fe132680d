"""A bundle alone, measured: no build's folder beside it, and mostly no store that knows it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.bench.bench import BenchRequest
from edgecnn.bench.bundle import BundleBenchRequest, bench_bundle, is_alone
from edgecnn.bench.facts import BundleBench
from edgecnn.bench.images import OpenedImages, prepare_images, sources_with_test_images, stored_images
from edgecnn.building.build import BuildContext
from edgecnn.bundle.manifest import recorded_in
from edgecnn.bundle.publishing import write_zip
from edgecnn.bundle.verify import Trust, verify
from edgecnn.data.manifest import summarize
from edgecnn.devices import machine
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import (
    BENCH_CLASSES_DIFFER,
    BENCH_OPTION_OF_BUILD,
    BENCH_TARGET_DIFFERS,
    NOT_OVERWRITTEN,
)
from edgecnn.errors.bundle import BUNDLE_FILE_CHANGED
from edgecnn.errors.data import SplitFolders
from edgecnn.hosts.ssh.link import COMMAND
from edgecnn.measure.kits import KitRef
from edgecnn.render.screens.bundle import bundle_bench_lines
from edgecnn.store.store import Store
from edgecnn.values.board import HostRequest
from edgecnn.values.dataset import DataManifest, Fold
from edgecnn.values.recipe import DataChoice, RaceChoice, Recipe, RoleDraw
from edgecnn.values.verdict import Verdict
from tests.building.builds import Place
from tests.bundle.sealed import reseal
from tests.data.folders import fill
from tests.hosts.sshd import loopback, needs_sshd
from tests.store.toys import Ear

QUICK = RaceChoice(samples=50)


@pytest.fixture(scope="module")
def zipped(built_once: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a finished build as one file, somewhere else."""
    out = tmp_path_factory.mktemp("zipped") / "photos.zip"
    write_zip(verify(built_once.out, Trust(), Ear()), out)
    return out


def benched(bundle: Path, folder: Path, data: Path | None = None, **options: object) -> BundleBench:
    asked = BenchRequest.model_validate({"folder": bundle, **options})
    request = BundleBenchRequest(asked, None if data is None else DataChoice(path=str(data)), folder / "found", race=QUICK)
    return bench_bundle(request, Store.open(folder / "store"), Ear())


def seen(place: Place, folder: Path, data: Path | None = None) -> OpenedImages:
    """What a bench would show the kits, without running them."""
    bundle, store, work = place.out / "bundle", Store.open(folder / "store"), folder / "work"
    work.mkdir()
    kits = [KitRef.at(each) for each in sorted((bundle / "kits").iterdir())]
    if data is None:
        return stored_images(kits, recorded_in(bundle), store)
    return prepare_images(DataChoice(path=str(data)), kits[0], recorded_in(bundle), work, BuildContext(store, Ear()))


def recorded(place: Place) -> float:
    (entry,) = json.loads((place.out / "bundle/choice.json").read_text())["kits"].values()
    return float(entry["recorded"]["top1"]["estimate"])


def test_the_build_s_own_photographs_are_known_again_and_answered_as_they_were(
    built_once: Place, zipped: Path, tmp_path: Path
) -> None:
    found = benched(zipped, tmp_path, built_once.photos)
    assert (found.images.source, found.images.role) == ("data", "recorded")
    (row,) = found.candidates
    assert row.test is not None and row.test.top1.estimate == recorded(built_once)
    assert found.images.said == f"30 images of {built_once.photos}, pixel for pixel the build's test images"
    assert row.latency is not None and row.latency.runs == 8 and found.device == "cpu"
    there = json.loads((tmp_path / "found/bundle-bench.json").read_text())
    assert there["schema"] == "edgecnn.bundle-bench/2" and there["bundle"]["form"] == "zip"
    whats = [
        json.loads((tmp_path / "found" / name / "profile.json").read_text())["what"] for name in found.profiles[row.candidate.id]
    ]
    assert whats == ["evaluation", "race"]


def test_gates_that_only_a_build_can_judge_stop_no_bench_of_its_bundle(built_once: Place, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(built_once.out / "bundle", tmp_path / "bundle"))
    choice = json.loads((bundle / "choice.json").read_text())
    bounds = {("max", "drop_pp"): 1.0, ("min", "int8_mac_share"): 0.9, ("min", "top1"): 0.01}
    choice["gates"] = [{"metric": metric, "side": side, "bound": bound, "runs": 0} for (side, metric), bound in bounds.items()]
    (bundle / "choice.json").write_text(json.dumps(choice))
    reseal(bundle)
    results = {result.gate.metric: result for result in benched(bundle, tmp_path, built_once.photos).gates}
    assert {metric: results[metric].verdict for metric in ("drop_pp", "int8_mac_share", "top1")} == {
        "drop_pp": Verdict.MISSING,
        "int8_mac_share": Verdict.MISSING,
        "top1": Verdict.PASS,
    }
    assert {result.gate.required for result in results.values() if result.gate.stated_by == "build"} == {"when-measured"}
    assert "edgecnn judge BUILD" in results["drop_pp"].reason


def test_the_reported_images_alone_are_known_again_too(built_once: Place, tmp_path: Path) -> None:
    summary = summarize(DataChoice(path=str(built_once.photos)), tmp_path / "listing", Ear())
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    for image in manifest.images:
        if image.role == "test":
            (tmp_path / "only" / image.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(built_once.photos / image.path, tmp_path / "only" / image.path)
    assert seen(built_once, tmp_path, tmp_path / "only").facts.role == "recorded"


DRAWN = RoleDraw.of(Recipe())
OTHERWISE = {
    "another seed": {"seed": 3},
    "other shares": {"validation_share": 0.1, "test_share": 0.3},
    "whole groups": {"group_by": "/0([0-9])"},
    "a network that was not trained": {"train": False, "calibration_images": 9},
    "folds": {"folds": 5},
}


@pytest.mark.parametrize("how", OTHERWISE)
def test_a_build_s_photographs_are_divided_as_the_build_did(built_once: Place, tmp_path: Path, how: str) -> None:
    path, drawn = str(built_once.photos), RoleDraw.model_validate({**DRAWN.model_dump(), **OTHERWISE[how]})
    fold = None if drawn.folds is None else Fold(number=1, of=drawn.folds)
    summary = summarize(drawn.applied_to(DataChoice(path=path)), tmp_path / "store", Ear(), fold)
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    tested = [image.path for image in manifest.images if image.role == "test"]
    shown, every = (
        [image.path for image in each.entries("test")]
        for each in sources_with_test_images(DataChoice(path=path), drawn, tmp_path / "store", Ear())
    )
    assert shown == tested and len(every) == 150
    by_default = next(iter(sources_with_test_images(DataChoice(path=path), None, tmp_path / "store", Ear()))).entries("test")
    assert [image.path for image in by_default] != tested


def test_folders_with_two_readings_are_read_by_the_bundle_s_classes(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {f"site{site}/{label}": 4 for site in (1, 2) for label in ("cat", "dog")})

    def classes_of(root: Path, drawn: RoleDraw | None, classes: tuple[str, ...]) -> tuple[str, ...]:
        return next(iter(sources_with_test_images(DataChoice(path=str(root)), drawn, tmp_path / "store", Ear(), classes))).classes

    assert classes_of(photos, None, ("cat", "dog", "fox")) == ("cat", "dog")
    assert classes_of(photos, None, ("site1", "site2")) == ("site1", "site2")
    with pytest.raises(SplitFolders):
        classes_of(photos, None, ("boat", "car"))
    nested = DRAWN.model_copy(update={"folders": "nested"})
    assert classes_of(photos / "site1", nested, ("cat", "dog")) == ("cat", "dog")


def test_images_of_a_build_in_groups_are_of_these_where_they_lie_alone_or_are_others(built_once: Place, tmp_path: Path) -> None:
    drawn = RoleDraw.model_validate({**DRAWN.model_dump(), **OTHERWISE["whole groups"]})
    for source in sources_with_test_images(DataChoice(path=str(built_once.photos)), drawn, tmp_path / "store", Ear()):
        groups = source.groups(source.entries("test"))
        assert groups is not None and len(set(groups)) == len({image.path[-6] for image in source.entries("test")})


def test_images_that_no_build_could_divide_so_are_shown_whole(tmp_path: Path) -> None:
    folder = strangers(tmp_path, "bag", "boot", "shirt")
    drawn = DRAWN.model_copy(update={"group_by": "person([0-9]+)"})
    (source,) = sources_with_test_images(DataChoice(path=str(folder)), drawn, tmp_path / "store", Ear())
    assert len(source.entries("test")) == 6


def test_a_bundle_says_how_its_build_drew_roles_and_an_older_one_does_not(built: Place) -> None:
    bundle = built.out / "bundle"
    assert recorded_in(bundle).drawn == DRAWN
    choice = json.loads((bundle / "choice.json").read_text())
    for drawn in ({**choice["drawn"], "test_share": 7}, "by hand", None):
        (bundle / "choice.json").write_text(json.dumps({**choice, "drawn": drawn}))
        assert recorded_in(bundle).drawn is None and recorded_in(bundle).pixels
    del choice["drawn"]
    (bundle / "choice.json").write_text(json.dumps(choice))
    assert recorded_in(bundle).drawn is None


def test_other_images_are_said_to_be_others(built_once: Place, tmp_path: Path) -> None:
    folder = strangers(tmp_path, "bag", "boot", "shirt")
    found = seen(built_once, tmp_path, folder).facts
    assert (found.role, found.images) == ("other", 6), "every image, and no share of them"
    assert found.said.startswith(f"6 images of {folder}; ")


def test_without_images_accuracy_is_the_recorded_one_and_passes_no_gate(built_once: Place, zipped: Path, tmp_path: Path) -> None:
    found = benched(zipped, tmp_path, gates={"min": {"top1": 0.01}})
    (row,) = found.candidates
    assert found.images.source == "none" and row.test is None and row.latency is not None and row.latency.runs == 8
    (name,) = found.recorded
    assert found.recorded[name].top1.estimate == recorded(built_once)
    assert [(gate.verdict, gate.reason) for gate in found.gates] == [("MISSING", found.images.said)]
    assert str(tmp_path / "store") in found.images.said and "--data" in found.images.said
    assert any(line.startswith(f"{name}: recorded by the build: top-1 ") for line in bundle_bench_lines(found))


def test_the_store_s_images_are_found_by_their_pixels(built: Place, tmp_path: Path) -> None:
    shutil.copytree(built.store, tmp_path / "store", copy_function=shutil.copy2)
    shutil.rmtree(tmp_path / "store/artifacts/package")
    found = seen(built, tmp_path)
    assert (found.facts.source, found.facts.role, found.facts.images) == ("store", "recorded", 30)
    assert found.labels is not None and len(found.labels) == 30


def test_other_classes_are_refused_with_their_names(built_once: Place, tmp_path: Path) -> None:
    folder = strangers(tmp_path, "bag", "boots")
    with pytest.raises(EdgecnnError, check=BENCH_CLASSES_DIFFER.made) as caught:
        seen(built_once, tmp_path, folder)
    assert caught.value.ref == "bench-classes-differ"


def test_what_was_changed_is_refused_before_anything_runs(built: Place, tmp_path: Path) -> None:
    bundle = tmp_path / "alone"
    shutil.copytree(built.out / "bundle", bundle)
    (worker,) = bundle.glob("kits/*/runner/runs/worker.py")
    worker.write_text(worker.read_text().replace("import", "IMPORT", 1))
    with pytest.raises(EdgecnnError, check=BUNDLE_FILE_CHANGED.made):
        benched(bundle, tmp_path)
    assert not (tmp_path / "found").exists()


def test_what_makes_no_sense_is_refused(built: Place, zipped: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=BENCH_TARGET_DIFFERS.made):
        benched(zipped, tmp_path, target="raspberry-pi-5")
    with pytest.raises(EdgecnnError, check=BENCH_OPTION_OF_BUILD.made):
        benched(zipped, tmp_path, extra_runs={"end_to_end": True})
    (tmp_path / "found").mkdir(exist_ok=True)
    (tmp_path / "found/mine.txt").write_text("mine")
    with pytest.raises(EdgecnnError, check=NOT_OVERWRITTEN.made):
        benched(zipped, tmp_path)


def test_a_bundle_beside_its_report_is_a_build(built: Place, zipped: Path, tmp_path: Path) -> None:
    assert not is_alone(built.out) and not is_alone(built.out / "bundle") and is_alone(zipped)
    (built.out / "report.json").unlink()
    assert is_alone(built.out) and is_alone(built.out / "bundle") and not is_alone(tmp_path)


@pytest.mark.full  # starts an SSH server
@needs_sshd
def test_over_ssh_it_is_measured_as_it_is_here(
    built_once: Place, zipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setenv(COMMAND, server)
    monkeypatch.setattr(machine, "FOLDER", str(tmp_path / "far"))
    monkeypatch.setattr(machine, "LOCK", str(tmp_path / "lock"))
    host = HostRequest(address="loopback", python=sys.executable)
    found = benched(zipped, tmp_path, built_once.photos, host=host)
    assert found.board == "loopback" and found.images.role == "recorded"
    assert found.candidates[0].test is not None and found.candidates[0].test.top1.estimate == recorded(built_once)
    assert any((tmp_path / "far/kits").iterdir()) and (tmp_path / "found/bundle-bench.json").is_file()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with loopback(tmp_path_factory.mktemp("sshd") / "server") as running:
        yield running.client


def strangers(folder: Path, *classes: str) -> Path:
    """Two pictures a class that nobody has seen before."""
    draw = np.random.default_rng(7)
    for name in classes:
        (folder / "others" / name).mkdir(parents=True)
        for number in range(2):
            picture = draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / "others" / name / f"{number}.png")
    return folder / "others"
