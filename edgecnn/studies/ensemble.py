"""Average several finished builds in one ONNX file, with cost and gain. A build takes the file like any custom model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.errors.fit import MEMBER_QUANTIZED, ONE_MEMBER, members_differ
from edgecnn.installed import require_packages
from edgecnn.judging.accuracy import difference_pp, share_right
from edgecnn.judging.judgement import commonest_share
from edgecnn.measure.evaluate import prepared_digests, prepared_groups
from edgecnn.results.finished import BuiltNetwork, built_network, require_one_label
from edgecnn.runner.files import bounded_content
from edgecnn.store.store import Store
from edgecnn.studies.facts import Ensemble, EnsembleRow
from edgecnn.values.command import Command
from edgecnn.values.preprocessing import BORDERED
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress
from edgecnn.values.toml import toml_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def make_ensemble(folders: Sequence[Path], out: Path, store: Store, tell: Progress) -> Ensemble:
    """Write the ensemble, and evaluate it and each member on the ``validation`` images.

    Raises:
        MissingPackage: onnx or onnxruntime is not installed.
        ONE_MEMBER, MEMBERS_DIFFER, MEMBER_QUANTIZED: the builds cannot be averaged.
        NoReport, ReportUnreadable, BundleUnreadable, PLAN_OF_ANOTHER_BUILD, NETWORK_GONE: a build cannot be read.
        NOT_OVERWRITTEN, OUTPUT_UNWRITABLE: ``out`` cannot be written.
        MODEL_TOO_LARGE: the ensemble does not fit one file.
    """
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise ONE_MEMBER(folders=folders)
    require_packages(("onnx",), extra="train", needed_for="an ensemble")
    require_packages(("onnxruntime",), extra="onnxruntime", needed_for="an ensemble")
    from edgecnn.graph.custom.onnx_entry import parameters_of
    from edgecnn.graph.ensemble import Member, average_members
    from edgecnn.graph.onnx_file import load_model, save_model

    _refuse_other_file(out)
    with store.in_use.held():
        members = [built_network(folder, store) for folder in folders]
        for member in members:
            require_one_label(member, "an ensemble")
        _check_alike(members)
        parts = [Member(load_model(member.model), member.resolved.preprocessing.normalization) for member in members]
        model = average_members(parts, members[0].resolved.preprocessing.pixels.crop_px, len(members[0].classes))
        try:
            save_model(model, out)
        except OSError as error:
            raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
        return _measure_ensemble(members, out, tuple(parameters_of(part.model) for part in parts), tell)


def _refuse_other_file(out: Path) -> None:
    """Refuse a file that exists and is not an ensemble."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    from edgecnn.graph.ensemble import PRODUCER
    from edgecnn.graph.onnx_file import BYTES_MAX

    if not out.exists():
        return
    try:
        ours = onnx.load_model_from_string(bounded_content(out, BYTES_MAX)).producer_name == PRODUCER
    except (OSError, DecodeError):
        ours = False
    if not ours:
        raise NOT_OVERWRITTEN(path=out, because="it is not an ensemble of edgecnn")


def _check_alike(members: Sequence[BuiltNetwork]) -> None:
    first = members[0]
    for member in members:
        if member.resolved.custom_model is not None and member.resolved.custom_model.entry.quantized is not None:
            raise MEMBER_QUANTIZED(folder=member.folder)
        folders = first.folder, member.folder
        if member.classes != first.classes:
            raise members_differ(folders=folders, what="classes", values=(_classes_text(first), _classes_text(member)))
        if member.resolved.data.content != first.resolved.data.content:
            values = _images_text(first), _images_text(member)
            what = "images" if member.resolved.data.grouping == first.resolved.data.grouping else "images or their groups"
            raise members_differ(folders=folders, what=what, values=values)
        if member.resolved.preprocessing.pixels != first.resolved.preprocessing.pixels:
            values = first.resolved.preprocessing.pixels.describe(), member.resolved.preprocessing.pixels.describe()
            raise members_differ(folders=folders, what="pixels", values=values)


def _classes_text(member: BuiltNetwork) -> str:
    shown = ", ".join(member.classes[:4])
    return f"{len(member.classes)} ({shown}{', …' if len(member.classes) > 4 else ''})"


def _images_text(member: BuiltNetwork) -> str:
    return f"{member.resolved.data.root} (images and roles {member.resolved.data.content[:12]}…)"


def _measure_ensemble(members: Sequence[BuiltNetwork], out: Path, parameters: Sequence[int], tell: Progress) -> Ensemble:
    right, groups = _correct_predictions(members, out, tell), prepared_groups(members[0].prepared.folder, "validation")
    rows = [
        EnsembleRow(
            name=member.report.build.arch,
            folder=str(member.folder),
            parameters=parameters[number],
            macs=member.macs,
            size_bytes=member.model.stat().st_size,
            accuracy_top1=share_right(right[number], groups) if right else None,
        )
        for number, member in enumerate(members)
    ]
    ensemble = EnsembleRow(
        name=out.name,
        folder=None,
        parameters=sum(row.parameters for row in rows),
        macs=sum(row.macs for row in rows),
        size_bytes=out.stat().st_size,
        accuracy_top1=share_right(right[-1], groups) if right else None,
    )
    best = max(range(len(rows)), key=lambda number: int(right[number].sum())) if right else None
    labels = members[0].array("validation.labels").tolist()
    chance = commonest_share([labels.count(place) for place in range(len(members[0].classes))]) if right else None
    return Ensemble(
        file=str(out),
        images=len(right[-1]) if right else 0,
        chance_top1=chance,
        whole=ensemble,
        members=tuple(rows),
        difference_pp=None if best is None else difference_pp(right[-1], right[best], groups),
        best=None if best is None else str(members[best].folder),
        command=_build_command(members[0], out),
    )


def _correct_predictions(members: Sequence[BuiltNetwork], out: Path, tell: Progress) -> list[NDArray[np.bool_]]:
    """Return the correct predictions of each member and, last, of the ensemble; empty if they cannot be compared."""
    from edgecnn.graph.ensemble import probabilities

    first = members[0]
    shown = [prepared_digests(member.prepared.folder) for member in members]
    pixels, labels = first.array("validation.pixels"), first.array("validation.labels")
    if any(digests != shown[0] for digests in shown) or not first.resolved.data.labelled or not len(pixels):
        return []
    right = []
    for number, (network, model) in enumerate([*((member, member.model) for member in members), (first, out)]):
        tell.step("ask each network", number, len(members) + 1, "networks")
        right.append(probabilities(model, network.feeds(pixels)).argmax(axis=1) == labels)
    tell.step("ask each network", len(members) + 1, len(members) + 1, "networks")
    return right


def _build_command(first: BuiltNetwork, out: Path) -> str:
    pixels, norm = first.resolved.preprocessing.pixels, first.resolved.preprocessing.normalization
    settings = _data_settings(first.resolved.recipe.data) | {
        "preprocessing.mean": list(norm.mean),
        "preprocessing.std": list(norm.std),
        "preprocessing.interpolation": pixels.interpolation,
    }
    if pixels.resize == "crop":
        settings["preprocessing.resize_px"] = pixels.resize_px.stated
    else:
        settings["preprocessing.resize"] = pixels.resize
    if pixels.resize in BORDERED:
        settings["preprocessing.fill"] = list(pixels.fill)
    stated = (("--set", f"{name}={toml_value(value)}") for name, value in settings.items())
    read = (("--model", str(out)), ("--data", first.resolved.recipe.data.path), ("--target", first.report.build.device))
    return str(Command(verb=("build",), parts=(*read, *stated)))


def _data_settings(data: DataChoice) -> dict[str, Any]:
    """Return the settings that give the ensemble the members' images in the same splits."""
    usual = DataChoice()
    names = [name for name in DataChoice.model_fields if name not in ("path", "train")]
    stated = {f"data.{name}": getattr(data, name) for name in names if getattr(data, name) != getattr(usual, name)}
    # data.train of a custom model is false unless it is stated
    return stated | ({"data.train": True} if data.train else {})
