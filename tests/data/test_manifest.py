from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgecnn.data import files as index
from edgecnn.data import manifest
from edgecnn.data.manifest import summarize
from edgecnn.errors.store import StoreUnusable
from edgecnn.values.dataset import DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import LONG_AGO_NS, Heard, aged, draw, fill


def summary_of(photos: Path, cache: Path, heard: Heard | None = None, **options: object) -> DataSummary:
    return summarize(DataChoice.model_validate({"path": str(photos), **options}), cache, heard or Heard())


def manifest_of(summary: DataSummary) -> DataManifest:
    return DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())


def test_the_summary_counts_what_the_manifest_lists(photos: Path, cache: Path) -> None:
    summary = summary_of(photos, cache)
    manifest = manifest_of(summary)
    assert (summary.classes, summary.root, summary.origin) == (("cat", "dog"), str(photos), "folder")
    assert dict(summary.counts) == {"train": 12, "calibration": 4, "validation": 4, "test": 4}
    assert dict(summary.counts) == {role: sum(image.role == role for image in manifest.images) for role in summary.counts}
    assert Path(summary.manifest_path).parent == cache / "manifests"
    assert Path(summary.manifest_path).name.startswith(summary.content)


def test_content_does_not_know_where_the_folder_lies(photos: Path, cache: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(photos, tmp_path / "elsewhere"))
    here, there = summary_of(photos, cache), summary_of(moved, cache)
    assert here.content == there.content
    assert (manifest_of(here).root, manifest_of(there).root) == (str(photos), str(moved))


@pytest.mark.parametrize("change", ["bytes", "name", "class", "seed", "calibration_images"])
def test_content_knows_bytes_names_labels_and_roles(photos: Path, cache: Path, change: str) -> None:
    before = summary_of(photos, cache).content
    options: dict[str, object] = {}
    if change == "bytes":
        aged(draw(photos / "cat" / "000.png", 999), LONG_AGO_NS + 1)
    elif change == "name":
        (photos / "cat" / "000.png").rename(photos / "cat" / "zero.png")
    elif change == "class":
        (photos / "cat").rename(photos / "lynx")
    else:
        options[change] = 2
    assert summary_of(photos, cache, **options).content != before


def test_an_unchanged_folder_is_answered_without_reading(photos: Path, cache: Path) -> None:
    first, again = Heard(), Heard()
    before = summary_of(photos, cache, first)
    assert summary_of(photos, cache, again) == before
    assert (first.steps[-1], again.steps) == (("reading images", 24, 24, "images"), [])


def test_an_image_that_is_edited_in_place_is_seen_though_size_and_time_are_kept(photos: Path, cache: Path) -> None:
    path = photos / "cat" / "000.png"
    before, heard = summary_of(photos, cache).content, Heard()
    facts = path.stat()
    time.sleep(0.02)  # more than a tick of the kernel's clock for files
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(bytes(8))
    aged(path, facts.st_mtime_ns)
    assert (path.stat().st_size, path.stat().st_ino) == (facts.st_size, facts.st_ino)
    assert summary_of(photos, cache, heard).content != before
    assert heard.steps == [("reading images", 1, 1, "images")]


def test_new_rights_and_links_cost_another_look_and_no_other_content(photos: Path, cache: Path) -> None:
    """Keys are made of bytes: what is trained on these images is found again."""
    before, heard = summary_of(photos, cache).content, Heard()
    (photos / "cat" / "000.png").chmod(0o600)
    os.link(photos / "cat" / "001.png", cache.parent / "linked.png")
    assert summary_of(photos, cache, heard).content == before
    assert heard.steps == [("reading images", 2, 2, "images")]


def test_only_what_changed_is_read_again(photos: Path, cache: Path) -> None:
    summary_of(photos, cache)
    draw(photos / "dog" / "new.png", 77)
    heard = Heard()
    assert sum(summary_of(photos, cache, heard).counts.values()) == 25
    assert heard.steps == [("reading images", 1, 1, "images")]


def test_another_seed_reads_nothing_again(photos: Path, cache: Path) -> None:
    summary_of(photos, cache)
    heard = Heard()
    summary_of(photos, cache, heard, seed=1)
    assert heard.steps == []


def test_a_file_written_just_now_is_not_trusted_though_its_time_is_old(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (index, manifest):
        monkeypatch.setattr(module, "now_ns", time.time_ns)
    fill(photos, {"cat": 12, "dog": 12})  # written now, and dated long ago
    summary_of(photos, cache)
    heard = Heard()
    summary_of(photos, cache, heard)
    assert heard.steps[-1] == ("reading images", 24, 24, "images")


@pytest.mark.parametrize(
    ("mtime_s", "ctime_s", "fresh"),
    [(0, 0, False), (99, 0, True), (0, 99, True), (99, 99, True), (101, 0, True), (10_000, 99, True), (10_000, 0, False)],
)
def test_a_stamp_proves_nothing_while_either_time_is_fresh(mtime_s: int, ctime_s: int, fresh: bool) -> None:
    file = index.parse_stamp("", f"a.png/7/{mtime_s * 10**9}/1/{ctime_s * 10**9}")
    assert index.is_fresh(file, 100 * 10**9) is fresh


def test_a_damaged_manifest_is_written_anew_and_said(photos: Path, cache: Path) -> None:
    before = summary_of(photos, cache)
    path = Path(before.manifest_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    heard = Heard()
    assert summary_of(photos, cache, heard) == before
    assert path.read_bytes() == whole
    assert heard.notes == [f"{path} was removed or damaged; edgecnn writes it again"]


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"schema": "edgecnn.index/1"}', '{"schema": "edgecnn.index/1", "pillow": "1", "files": 3}']
)
def test_a_damaged_index_is_read_again_and_said(photos: Path, cache: Path, damage: str) -> None:
    before = summary_of(photos, cache)
    (index,) = (cache / "manifests" / "index").iterdir()
    index.write_text(damage)
    shutil.rmtree(cache / "manifests" / "summaries")
    heard = Heard()
    assert summary_of(photos, cache, heard) == before
    assert heard.notes == [f"{index} was damaged; every image is read again"]


def test_images_deeper_down_belong_to_the_class(photos: Path, cache: Path) -> None:
    draw(photos / "cat" / "indoors" / "sofa.png", 70)
    assert "cat/indoors/sofa.png" in {image.path for image in manifest_of(summary_of(photos, cache)).images}


def test_a_link_back_up_is_not_followed_for_ever(photos: Path, cache: Path) -> None:
    (photos / "cat" / "loop").symlink_to(photos / "cat")
    assert sum(summary_of(photos, cache).counts.values()) == 24


def test_copies_across_splits_are_counted(tmp_path: Path, cache: Path) -> None:
    photos = fill(tmp_path / "photos", {"train/cat": 5, "train/dog": 5, "val/cat": 2, "val/dog": 2})
    shutil.copy2(photos / "val" / "cat" / "000.png", photos / "train" / "cat" / "same.png")
    summary = summary_of(photos, cache)
    (copy,) = summary.copies
    assert copy.startswith("train/cat/same.png: ") and copy.endswith(" val/cat/000.png")
    assert summary.counts == {"train": 6, "calibration": 2, "validation": 2, "test": 4}


def test_a_listing_that_lasts_is_counted_aloud(photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.data.files.QUIET_FOR_S", 0.0)
    monkeypatch.setattr("edgecnn.data.files.REPORTED_EVERY_S", 0.0)
    heard = Heard()
    summary_of(photos, cache, heard)
    listing = [step for step in heard.steps if step[0] == "listing files"]
    assert listing[0] == ("listing files", 1, None, "files")
    assert listing[-1] == ("listing files", 26, 26, "files"), "2 folders and 24 images, and the bar is finished"


def test_a_listing_is_left_at_once(photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(Heard):
        def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
            super().step(what, done, total, unit)
            raise KeyboardInterrupt

    monkeypatch.setattr("edgecnn.data.files.QUIET_FOR_S", 0.0)
    heard = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        summary_of(photos, cache, heard)
    assert len(heard.steps) == 1


def test_a_cache_that_cannot_be_written_is_the_stores_failure(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(StoreUnusable):
        summary_of(photos, tmp_path / "store")


def test_an_interrupted_first_reading_goes_on_where_it_stopped(photos: Path, cache: Path) -> None:
    fill(photos, {"cat/more": 100, "dog/more": 100}, start=1000)

    class Interrupting(Heard):
        def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        summary_of(photos, cache, Interrupting())
    heard = Heard()
    summary_of(photos, cache, heard)
    assert 0 < heard.steps[-1][1] < 224


def test_an_interrupted_reading_waits_for_one_image_and_not_for_a_batch(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(photos, {"cat/more": 300}, start=1000)
    read = index._read_fact

    def slowly(path: Path) -> index.Fact:
        time.sleep(0.03)
        return read(path)

    class Interrupting(Heard):
        def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
            checked_at_s.append(time.monotonic())
            raise KeyboardInterrupt

    checked_at_s: list[float] = []
    monkeypatch.setattr(index, "_read_fact", slowly)
    with pytest.raises(KeyboardInterrupt):
        summary_of(photos, cache, Interrupting())
    assert time.monotonic() - checked_at_s[0] < 0.5


def test_the_demo_reports_its_whole_test_set(cache: Path) -> None:
    summary = summarize(DataChoice(), cache, Heard())
    assert dict(summary.counts) == {"train": 3700, "calibration": 300, "validation": 1000, "test": 10000}
    assert (summary.origin, summary.root, len(summary.classes)) == ("demo", "demo", 10)
    assert summarize(DataChoice(), cache, Heard()) == summary


def test_a_cached_answer_imports_neither_pillow_nor_torch(photos: Path, cache: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from edgecnn.data import files\n"
        "files.now_ns = lambda: time.time_ns() + 10**10\n"
        "from edgecnn.data.manifest import summarize; from edgecnn.values.recipe import DataChoice\n"
        "class Quiet:\n    step = note = lambda *a, **k: None\n"
        "counts = summarize(DataChoice(path=sys.argv[1]), Path(sys.argv[2]), Quiet()).counts\n"
        "print(sum(counts.values()), sorted({'PIL', 'numpy', 'torch', 'scipy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(photos), str(cache)]
    first, again = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert first == "24 ['PIL', 'numpy']\n"
    assert again == "24 []\n"


def test_the_kept_files_are_plain_json(photos: Path, cache: Path) -> None:
    summary_of(photos, cache)
    for path in (cache / "manifests").rglob("*.*"):
        json.loads(path.read_text(encoding="utf-8"))
