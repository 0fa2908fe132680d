"""Find images of a build that probably have a wrong label, and what to collect next.

A linear probe is cross-validated on the features of the build's network. The build does not change, and images are only read.
Test images are judged only on request: if a network corrects labels, its own test accuracy becomes too good.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from edgecnn.data.images import ImageSource, open_source
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import FOLDER_OF_OTHER_FILES, LIST_EDITED, NOT_OVERWRITTEN, OUTPUT_INSIDE_DATA, OUTPUT_UNWRITABLE
from edgecnn.errors.fit import NO_LABELS_TO_DOUBT
from edgecnn.installed import require_packages
from edgecnn.judging.accuracy import share_right
from edgecnn.judging.judgement import commonest_share
from edgecnn.planning.complete import tool_versions
from edgecnn.results.explain import rebuild_command
from edgecnn.results.finished import BuiltNetwork, built_network, require_one_label
from edgecnn.results.page import thumbnail
from edgecnn.runner.machine.environment import read_conditions
from edgecnn.stages.images import FeaturesStage
from edgecnn.store.disk import sha256_of, write_text_atomically
from edgecnn.store.entry import StageInputs
from edgecnn.store.store import Store
from edgecnn.studies.facts import ClassOutlook, ConfusedPair, DoubtedLabel, LabelDoubt
from edgecnn.values.artifact import Artifact, FoundInput
from edgecnn.values.cells import guarded_cell
from edgecnn.values.command import Command
from edgecnn.values.dataset import SPLIT_ROLES, Alike, DataSource, ImageEntry, SplitRole
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.training.label_doubt import Doubts, Probed

FACTS, LIST, PAGE = "doubt.json", "labels.csv", "doubt.html"
LEAST_UNITS = 5
"""Independent images that a class needs to judge its labels: one for each fold. A group, like near-duplicates, counts once."""
MORE = 100
_PAIRS, _EXAMPLES = 8, 6
SHOWN = 120
"""Doubted images with a thumbnail on the page."""
_SEED = 0
_ABOUT_IMAGES = (
    "--data", "--image-root", "--path-column", "--path-suffix", "--label-column", "--label-separator", "--no-labels",
    "--group-by",
)  # fmt: skip
"""Options of a build that describe its own images, not the list."""


class DoubtRequest(NamedTuple):
    """Where results go, and whether test images are judged too."""

    out: Path
    with_test: bool = False


class DoubtFound(NamedTuple):
    """The facts, and thumbnails for the page."""

    facts: LabelDoubt
    thumbnails: dict[str, str]
    """Path of an image to its JPEG in base64."""


class _JudgedLabels(NamedTuple):
    entries: Sequence[ImageEntry]
    labels: NDArray[np.int64]
    units: NDArray[np.int64]
    near: Sequence[Sequence[int]]
    is_judged: NDArray[np.bool_]
    probed: Probed
    doubts: Doubts


def label_doubt(build: Path, request: DoubtRequest, store: Store, tell: Progress) -> DoubtFound:
    """Judge the labels of a finished build, and write ``doubt.json`` and ``labels.csv`` into the requested folder.

    Raises:
        MissingPackage: onnx, onnxruntime or scikit-learn is not installed.
        NoReport, ReportUnreadable, BundleUnreadable, PLAN_OF_ANOTHER_BUILD, NETWORK_GONE: the build cannot be read.
        MultiLabelNotFitting: its images have several labels.
        NO_LABELS_TO_DOUBT: fewer than two classes have enough images.
        NO_FEATURES: its network has no features.
        MANIFEST_UNREADABLE, IMAGE_GONE, IMAGE_CHANGED, CorruptImages: its images cannot be read.
        NOT_OVERWRITTEN, FOLDER_OF_OTHER_FILES, LIST_EDITED, OUTPUT_INSIDE_DATA, OUTPUT_UNWRITABLE: the folder cannot be written.
    """
    _check_folder(request.out)
    require_packages(("onnx", "onnxruntime"), extra="onnxruntime", needed_for="label doubt")
    require_packages(("scikit-learn", "threadpoolctl"), extra="train", needed_for="label doubt")
    with store.in_use.held():
        network = built_network(build, store)
        require_one_label(network, "label doubt")
        source = open_source(Path(network.resolved.data.manifest_path))
        if source.manifest.origin == "folder" and request.out.resolve().is_relative_to(Path(source.manifest.root).resolve()):
            raise OUTPUT_INSIDE_DATA(path=request.out, root=source.manifest.root)
        roles = tuple(role for role in SPLIT_ROLES if role != "test" or request.with_test)
        judged = _judge_labels(network, source, roles, store, tell)
        facts = _doubt_report(network, source, roles, judged)
        rows = _list_csv(source, judged, has_splits=network.resolved.recipe.train.folds is None)
        pictures = _thumbnails(network, source, facts, tell)
        if facts.list_file is not None:
            is_grouped = any(entry.group is not None for entry in _all_entries(source))
            command = _corrected_build(network, request.out / LIST, source.manifest.root, is_grouped=is_grouped)
            facts = facts.model_copy(update={"build_command": str(command)})
    return DoubtFound(_write(facts, rows, request.out), pictures)


def _corrected_build(network: BuiltNetwork, listed: Path, root: str, *, is_grouped: bool) -> Command:
    """Return the command of the same build for the corrected list, in a new folder."""
    report, data = network.report, network.resolved.asked.data
    by_name = Command(verb=("build",), parts=(("--arch", report.build.arch), ("--target", report.build.device)))
    again = rebuild_command(report) or by_name
    settings = tuple(f"data.{name}=" for name in (*DataSource.model_fields, "group_by", "folders", "labels"))
    kept = tuple(part for part in again.without(*_ABOUT_IMAGES, "--out").parts if not part[-1].startswith(settings))
    out = f"{network.folder}-corrected" if network.folder.name else "corrected"
    return again.model_copy(update={"parts": kept}).adding(
        ("--data", str(listed)),
        ("--image-root", root),
        ("--label-column", "label"),
        *([("--group-by", "group")] if is_grouped else []),
        *([("--path-column", "path")] if data.path_column is not None else []),
        *([("--label-separator", "none")] if data.label_separator is not None else []),
        ("--out", out),
    )


def _check_folder(out: Path) -> None:
    """Refuse a folder with files, unless it is from an earlier call whose list was not edited."""
    try:
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise NOT_OVERWRITTEN(path=out, because="it is not a folder")
        if not out.is_dir() or not any(out.iterdir()):
            return
        if not (out / FACTS).is_file():
            raise FOLDER_OF_OTHER_FILES(path=out, needed=FACTS)
        before = LabelDoubt.model_validate_json((out / FACTS).read_bytes())
        if (out / LIST).is_file() and sha256_of(out / LIST) != before.list_sha256:
            raise LIST_EDITED(path=out / LIST)
    except ValidationError as error:
        raise NOT_OVERWRITTEN(path=out / FACTS, because="edgecnn of this version did not write it") from error
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error


def _judge_labels(
    network: BuiltNetwork, source: ImageSource, roles: tuple[SplitRole, ...], store: Store, tell: Progress
) -> _JudgedLabels:
    import numpy as np

    entries = [entry for role in roles for entry in source.entries(role)]
    labels = np.array([entry.label for entry in entries], np.int64)
    counts = np.bincount(labels[labels >= 0], minlength=len(source.classes))
    if not network.resolved.data.labelled or (counts >= LEAST_UNITS).sum() < 2:
        raise NO_LABELS_TO_DOUBT(folder=network.folder, least=LEAST_UNITS)
    from edgecnn.data.fingerprints import near_groups
    from edgecnn.training.label_doubt import doubts_of, probe

    made = image_features(network, roles, store, tell)
    near = near_groups(np.load(made.folder / "small.npy"), tell)
    groups = source.groups(entries)
    units = np.arange(len(entries)) if groups is None else groups.copy()
    for alike in near:
        units[np.isin(units, units[alike])] = units[alike[0]]
    independent = np.array([len(np.unique(units[labels == label])) for label in range(len(source.classes))])
    if len(np.unique(units)) < 2:  # nothing could be held out
        raise NO_LABELS_TO_DOUBT(folder=network.folder, least=LEAST_UNITS)
    is_judged = independent[labels] >= LEAST_UNITS
    features = np.load(made.folder / "features.npy")
    probed = probe(features, labels, units, _SEED, lambda done, fits: tell.step("cross-validate the probe", done, fits, "fits"))
    return _JudgedLabels(entries, labels, units, near, is_judged, probed, doubts_of(probed.probabilities, labels, is_judged))


def image_features(network: BuiltNetwork, roles: tuple[SplitRole, ...], store: Store, tell: Progress) -> Artifact:
    """Return the ``features`` artifact of the images of these roles, from the store if it has it."""
    resolved = network.resolved
    images, model = resolved.data.content, network.trunk
    stage = FeaturesStage(inputs={"model": model.key, "images": images}, roles=roles, preprocessing=resolved.preprocessing)
    inputs = {
        "model": FoundInput(path=model.folder, key=model.key, content=model.content),
        "images": FoundInput(path=Path(resolved.data.manifest_path), key=images, content=images),
    }
    return store.artifacts.obtain(stage, StageInputs(tool_versions(), inputs, read_conditions()), tell)[0]


def _doubt_report(network: BuiltNetwork, source: ImageSource, roles: tuple[SplitRole, ...], judged: _JudgedLabels) -> LabelDoubt:
    import numpy as np

    from edgecnn.training.label_doubt import FOLDS, forecast

    labels, names, doubts = judged.labels, source.classes, judged.doubts
    right, own = judged.probed.smaller[-1], judged.probed.probabilities
    top1 = share_right(right, _groups_or_none(judged.units))
    assert top1 is not None
    outlooks = [_class_outlook(judged, label, name) for label, name in enumerate(names) if (labels == label).any()]
    return LabelDoubt(
        build=str(network.folder),
        network=network.report.build.arch,
        root=source.manifest.root,
        roles=roles,
        images=len(labels),
        folds=FOLDS,
        top1=top1,
        chance_top1=commonest_share(np.bincount(labels).tolist()),
        top1_at_twice=_forecast_interval(forecast(judged.probed.smaller, judged.units, 2.0, _SEED).accuracy),
        more_images=MORE,
        doubted=tuple(
            DoubtedLabel(
                file=judged.entries[image].path,
                role=judged.entries[image].role,
                label=names[labels[image]],
                suggested=names[doubts.suggested[image]],
                label_probability=float(own[image, labels[image]]),
                suggested_probability=float(own[image, doubts.suggested[image]]),
            )
            for image in doubts.order.tolist()
            if doubts.doubted[image]
        ),
        classes=tuple(sorted(outlooks, key=lambda outlook: 1.0 if outlook.recall is None else outlook.recall.estimate)),
        not_judged=tuple(name for label, name in enumerate(names) if not judged.is_judged[labels == label].any()),
        pairs=_confused_pairs(judged, names),
        near=_contradictions(judged, names),
        excluded=source.manifest.copies,
        list_file=LIST if source.manifest.origin == "folder" else None,
        list_sha256=None,
        features_trained=_are_features_trained(network.resolved),
    )


def _are_features_trained(resolved: Resolved) -> bool:
    """Whether every layer learned these labels. ``--transfer auto`` may have trained the head alone."""
    train = resolved.recipe.train
    is_trained = resolved.mode in ("finetune", "inherit", "scratch") and resolved.recipe.data.train
    return is_trained and bool(train.epochs) and train.transfer not in ("head", "auto")


def _class_outlook(judged: _JudgedLabels, label: int, name: str) -> ClassOutlook:
    from edgecnn.training.label_doubt import forecast

    of_class = judged.labels == label
    images, units, recall, gain = int(of_class.sum()), judged.units[of_class], None, None
    if judged.is_judged[of_class].all():
        recall = share_right(judged.probed.smaller[-1][of_class], _groups_or_none(units))
        if recall is not None and recall.estimate < 1:  # without mistakes, nothing is left to gain
            room = 100 * (1 - recall.estimate)
            low_mid_high = forecast(judged.probed.alone[:, of_class], units, (images + MORE) / images, _SEED).gain
            gain = _forecast_interval(tuple(min(100 * value, room) for value in low_mid_high))  # type: ignore[arg-type]
    return ClassOutlook(
        name=name,
        images=images,
        recall=recall,
        doubted=int(judged.doubts.doubted[of_class].sum()),
        gain_pp=gain,
    )


def _groups_or_none(units: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the units as groups of images; None if the images are independent."""
    return units if len(set(units.tolist())) < len(units) else None


def _forecast_interval(values: tuple[float, float, float]) -> Interval:
    from edgecnn.training.label_doubt import CURVE_CONFIDENCE

    return Interval(estimate=values[0], low=values[1], high=values[2], confidence=CURVE_CONFIDENCE)


def _confused_pairs(judged: _JudgedLabels, names: Sequence[str]) -> tuple[ConfusedPair, ...]:
    probabilities, images_of = judged.probed.probabilities, defaultdict[tuple[int, int], list[int]](list)
    predicted = probabilities.argmax(axis=1)
    for image in (predicted != judged.labels).nonzero()[0].tolist():
        images_of[int(judged.labels[image]), int(predicted[image])].append(image)
    most = sorted(images_of.items(), key=lambda pair: -len(pair[1]))[:_PAIRS]
    return tuple(
        ConfusedPair(
            label=names[label],
            predicted=names[other],
            images=len(images),
            examples=tuple(
                judged.entries[image].path for image in sorted(images, key=lambda image: -probabilities[image, other])[:_EXAMPLES]
            ),
        )
        for (label, other), images in most
    )


def _contradictions(judged: _JudgedLabels, names: Sequence[str]) -> tuple[Alike, ...]:
    return tuple(
        Alike(
            paths=tuple(judged.entries[image].path for image in group),
            classes=tuple(dict.fromkeys(names[judged.labels[image]] for image in group)),
            roles=tuple(role for role in SPLIT_ROLES if role in {judged.entries[image].role for image in group}),
        )
        for group in judged.near
        if len({int(judged.labels[image]) for image in group}) > 1
    )


def _list_csv(source: ImageSource, judged: _JudgedLabels, *, has_splits: bool) -> str:
    """Return the list as CSV: every image with its split, the doubted images first.

    A build of the list has the same test images. With folds the list has no splits, because folds draw the test images again
    and refuse a list with splits.
    """
    first = [image for image in judged.doubts.order.tolist() if judged.doubts.doubted[image]]
    suggested = {judged.entries[image].path: source.classes[judged.doubts.suggested[image]] for image in first}
    doubted = [judged.entries[image] for image in first]
    rest = [entry for entry in _all_entries(source) if entry.path not in suggested]
    is_grouped = any(entry.group is not None for entry in [*doubted, *rest])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", *(["split"] if has_splits else []), *(["group"] if is_grouped else []), "suggested"])
    for entry in [*doubted, *rest]:
        split = ["train" if entry.role == "calibration" else entry.role] if has_splits else []
        group = [entry.group or ""] if is_grouped else []
        cells = (entry.path, source.classes[entry.label], *split, *group, suggested.get(entry.path, ""))
        writer.writerow([guarded_cell(cell) for cell in cells])
    return text.getvalue()


def _all_entries(source: ImageSource) -> list[ImageEntry]:
    return [entry for role in SPLIT_ROLES for entry in source.entries(role)]


def _thumbnails(network: BuiltNetwork, source: ImageSource, facts: LabelDoubt, tell: Progress) -> dict[str, str]:
    import numpy as np

    files = [doubted.file for doubted in facts.doubted[:SHOWN]]
    files += [file for pair in facts.pairs for file in pair.examples]
    files += [file for group in facts.near[:SHOWN] for file in group.paths[:_EXAMPLES]]
    entries = {entry.path: entry for role in facts.roles for entry in source.entries(role)}
    window, pictures = network.resolved.preprocessing.pixels.runner_recipe().grey_window, dict[str, str]()
    for file in dict.fromkeys(files):
        pictures[file] = thumbnail(np.asarray(source.read(entries[file], window)))
        tell.step("read doubted images", len(pictures), len(set(files)), "images")
    return pictures


def _write(facts: LabelDoubt, rows: str, out: Path) -> LabelDoubt:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if facts.list_file is not None:
            write_text_atomically(out / LIST, rows)
            facts = facts.model_copy(update={"list_sha256": sha256_of(out / LIST)})
        write_text_atomically(out / FACTS, facts.model_dump_json(by_alias=True, indent=1) + "\n")
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    return facts
