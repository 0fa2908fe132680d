"""The candidates that a target supports, including retrained and changed networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgecnn.devices.check.findings import missing_on_board
from edgecnn.devices.this_machine import complete_device
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import NOTHING_TO_BUILD
from edgecnn.errors.custom_model import quantized_elsewhere
from edgecnn.errors.devices import NO_CANDIDATE, PRECISION_NOT_ON_DEVICE
from edgecnn.errors.training import (
    NOTHING_CHANGES_HERE,
    NOTHING_TO_PRUNE,
    SURGERY_OF_NOTHING,
    nothing_to_replace,
)
from edgecnn.errors.wording import shell_word
from edgecnn.installed import installed_version, lacking
from edgecnn.models.catalogue import SILU, SQUEEZE_EXCITE, all_archs, holds, parts_of
from edgecnn.models.compound import RULES
from edgecnn.runtimes.onnxruntime import exact_products
from edgecnn.runtimes.registry import all_backends, backend_for, offers, packages_for
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Unavailable
from edgecnn.values.board import LocalFacts
from edgecnn.values.candidate import (
    ALL_RUNTIMES,
    BASELINE_ID,
    ORIGINAL_ID,
    Candidate,
    Method,
    Precision,
    Rung,
    Runtime,
    Unsupported,
)
from edgecnn.values.custom_model import CustomModel
from edgecnn.values.dataset import DataSummary
from edgecnn.values.device import Device
from edgecnn.values.recipe import Recipe
from edgecnn.values.training import Form, Surgery

PACKAGE = "torchao"


def aware_candidates(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return an aware-trained candidate for each post-training INT8 candidate.

    The CPU runtimes share one training, and TensorRT has another. Weights keep to seven bits if any runtime of a training
    needs that.
    """
    candidates = tuple(candidates)
    schemes = {backend.runtime: backend.learned for backend in all_backends() if backend.learned is not None}
    rounded = {candidate.runtime for candidate in candidates if candidate.scheme is not None and candidate.scheme.reduced_range}
    narrow = [schemes[runtime] for runtime in rounded if runtime in schemes]
    return tuple(
        candidate.model_copy(
            update={
                "id": f"{candidate.id}-aware",
                "method": Method.AWARE_TRAINING,
                "scheme": scheme.model_copy(update={"reduced_range": scheme in narrow}),
            }
        )
        for candidate in candidates
        if (scheme := schemes.get(candidate.runtime)) is not None
        and not candidate.builder_flags
        and (candidate.precision, candidate.method) == (Precision.INT8, Method.POST_TRAINING)
    )


def _retraining_unavailable(recipe: Recipe, data: DataSummary, allow: str, consequence: str = "") -> Unavailable | None:
    """Return why no network can be retrained here, or None. ``allow``: the predicate about networks of the catalogue."""
    if recipe.model.onnx is not None:
        why = f"a custom model is a fixed graph; only networks of the catalogue {allow}"
        return Unavailable(why=why, command="edgecnn list archs")
    if data.counts["train"] == 0 and recipe.synthesis.cutouts is None:
        return Unavailable(
            why=f"there are no training images{consequence}", command=f"edgecnn data inspect {shell_word(data.root)}"
        )
    return None


def aware_unavailable(recipe: Recipe, data: DataSummary) -> Unavailable | None:
    """Return why quantization-aware training is not available, or None."""
    if (unavailable := _retraining_unavailable(recipe, data, "allow quantization-aware training")) is not None:
        return unavailable
    if recipe.surgery.instead:
        why = "quantization-aware training needs the unchanged network, and surgery.instead replaces it"
        return Unavailable(why=why, command="edgecnn build --set surgery.instead=false")
    if installed_version(PACKAGE) is None:
        return Unavailable(why=f"{PACKAGE} is not installed", command='pip install "edgecnn[aware]"')
    return None


KEPT_FLOAT = (2, 4, 8, 16)
"""Layers that stay in float, by rung. Doubling finds the fewest to within a factor of two in four builds.

One layer alone seldom helps, because a tensor between two layers is rounded for both. If sixteen layers do not help, the loss
is not due to a few layers.
"""


def mixed_rungs(candidates: Iterable[Candidate]) -> tuple[Rung, ...]:
    """Return one rung per number of float layers, for each post-training INT8 candidate whose runtime supports mixed
    precision."""
    return tuple(
        Rung(name=mixed.id, candidates=(mixed,), mends=candidate.id, kept_float=kept_float)
        for candidate in candidates
        if candidate.method is Method.POST_TRAINING
        for kept_float in KEPT_FLOAT
        for mixed in (candidate.model_copy(update={"id": f"{candidate.id}-mixed-{kept_float}", "method": Method.MIXED}),)
        if backend_for(candidate.runtime).way(mixed) is not None
    )


_METHODS = (Method.FLOAT, Method.POST_TRAINING)


def surgery_of(recipe: Recipe) -> Surgery | None:
    """Return the requested surgery; None if the network stays unchanged."""
    choice = recipe.surgery
    if not choice.suffix:
        return None
    if choice.epochs is None:
        raise ValueError("resolve fills in what is unset of [surgery] before anything is planned")
    return Surgery(**Form.of(choice).model_dump(), epochs=choice.epochs)


def surgery_instead(recipe: Recipe) -> Surgery | None:
    """Return the requested surgery if the changed network replaces the unchanged one."""
    return surgery_of(recipe) if recipe.surgery.instead else None


def surgery_candidates(candidates: Iterable[Candidate], recipe: Recipe) -> tuple[Candidate, ...]:
    """Return a changed variant of each float and post-training INT8 candidate that the target may ship.

    If the changed network replaces the unchanged one, all candidates are changed already, and there are no variants.
    """
    surgery = surgery_of(recipe)
    if surgery is None or recipe.surgery.instead:
        return ()
    return tuple(
        candidate.model_copy(update={"id": f"{candidate.id}-{surgery.suffix}", "surgery": surgery})
        for candidate in candidates
        if candidate.method in _METHODS and recipe.target.runtime in (None, ALL_RUNTIMES, candidate.runtime)
    )


def surgery_unavailable(recipe: Recipe, data: DataSummary) -> Unavailable | None:
    """Return why the network cannot be changed here, or None."""
    return _retraining_unavailable(recipe, data, "allow surgery", ", and a changed network has to be retrained")


def require_something_to_replace(recipe: Recipe, arch: ArchSpec) -> None:
    """Refuse surgery that the network does not support, before any work starts.

    Raises NOTHING_TO_REPLACE: it has no SiLU, or no squeeze-excite. NOTHING_TO_PRUNE: its channels cannot be pruned.
    SURGERY_OF_NOTHING: the recipe asks for a replacement and names no change.
    """
    choice = recipe.surgery
    if choice.activation != "keep" and not holds(arch.family, SILU):
        raise _nothing_to_replace(arch, f"activation={choice.activation}", SILU)
    if choice.squeeze_excite != "keep" and not holds(arch.family, SQUEEZE_EXCITE):
        raise _nothing_to_replace(arch, f"squeeze_excite={choice.squeeze_excite}", SQUEEZE_EXCITE)
    if choice.pruned and arch.family not in RULES:
        raise NOTHING_TO_PRUNE(arch=arch.name, share=choice.pruned, families=tuple(RULES))
    if choice.instead and not choice.suffix:
        raise SURGERY_OF_NOTHING()


def _nothing_to_replace(arch: ArchSpec, setting: str, lacks: str) -> EdgecnnError:
    fitting = tuple(spec.name for spec in all_archs() if holds(spec.family, lacks))
    has = parts_of(arch.family)
    return nothing_to_replace(
        arch=arch.name, setting=setting, lacks=lacks, has=None if has is None else has.worded, fitting=fitting
    )


ORIGINAL = Candidate(id=ORIGINAL_ID, runtime=Runtime.ONNXRUNTIME, precision=Precision.INT8, method=Method.ORIGINAL)
"""The only candidate of a quantized file. The file was made for the kernels of one runtime, and edgecnn checks the form for ONNX
Runtime."""


def custom_candidates(
    model: CustomModel, candidates: tuple[Candidate, ...], unavailable: dict[str, Unavailable], recipe: Recipe, device: Device
) -> tuple[tuple[Candidate, ...], dict[str, Unavailable]]:
    """Return the candidates of a custom model. A float model keeps all of them.

    Raises QUANTIZED_ELSEWHERE: the file came quantized, and the target runs another runtime than ONNX Runtime.
    """
    form = model.entry.quantized
    if form is None:
        return candidates, unavailable
    facts = device.runtimes.get(Runtime.ONNXRUNTIME)
    if Runtime.ONNXRUNTIME not in device.built_for(recipe.target.runtime):
        raise quantized_elsewhere(path=model.path, form=form, device=device.name, has=facts is not None)
    lacking = Unavailable(
        why=f"the file came quantized ({form}) and holds no float network",
        command="--model with the original float network",
    )
    original = ORIGINAL.model_copy(update={"session_options": exact_products(device.processor)})
    return (original,), {**unavailable, **{candidate.id: lacking for candidate in candidates}}


def require_candidate(device: Device, supported: Sequence[Candidate | Unsupported]) -> None:
    """Refuse a device on which no runtime can run the network, whatever is installed here.

    The baseline's fp32 is always built, because every drop is measured against it. Alone, it is not worth shipping.

    Raises NO_CANDIDATE: every entry of ``supported`` is refused; lists the reasons by runtime.
    """
    if any(isinstance(entry, Candidate) for entry in supported):
        return
    has = list(device.runtimes)
    refused = [entry for entry in supported if isinstance(entry, Unsupported)]
    if not refused:
        names = ", ".join(runtime.value for runtime in has)
        reasons = [f"its device file builds none of its runtimes ({names}) unless the target names it"]
        raise NO_CANDIDATE(device=device.name, reasons=reasons, hint=_target_hint(has))
    untried = [runtime for runtime in has if runtime not in {entry.runtime for entry in refused}]
    hint = _target_hint(untried) if untried else "`edgecnn list devices` names devices that a build can be made for"
    precisions: dict[tuple[str, str], list[str]] = {}
    for entry in refused:
        precisions.setdefault((entry.runtime.value, entry.why), []).append(entry.precision.value)
    by_cause = [f"{runtime} {', '.join(names)}: {why}" for (runtime, why), names in precisions.items()]
    raise NO_CANDIDATE(device=device.name, reasons=by_cause, hint=hint)


def _target_hint(runtimes: Sequence[Runtime]) -> str:
    """Return the target of the first runtime that can be built here. If none can, return the command that installs the first."""
    lacks = {runtime: lacking(backend_for(runtime).packages, backend_for(runtime).extra) for runtime in runtimes}
    built = next((runtime for runtime, why in lacks.items() if why is None), runtimes[0])
    install = "" if (why := lacks[built]) is None or why.command is None else f"{why.command}, then "
    return f"{install}--target DEVICE:{built.value}"


def require_precision(device: Device, precision: Precision, asked_by: str, supported: Sequence[Candidate | Unsupported]) -> None:
    """Refuse a recipe that asks for a precision that no runtime of the target has.

    ``asked_by``: the recipe's key, as a user writes it.

    Raises PRECISION_NOT_ON_DEVICE: lists the reason of each runtime, and the available precisions.
    """
    has = [entry.precision for entry in supported if isinstance(entry, Candidate)]
    if precision in has:
        return
    refused = [entry for entry in supported if isinstance(entry, Unsupported) and entry.precision is precision]
    raise PRECISION_NOT_ON_DEVICE(
        device=device.name,
        precision=precision.value,
        asked_by=asked_by,
        has=[precision.value for precision in dict.fromkeys(has)],
        reasons=[f"{entry.runtime.value}: {entry.why}" for entry in refused],
    )


BASELINE = Candidate(id=BASELINE_ID, runtime=Runtime.ONNXRUNTIME, precision=Precision.FP32)


def candidates_of(
    device: Device, recipe: Recipe, facts: LocalFacts
) -> tuple[tuple[Candidate, ...], tuple[Unsupported, ...], dict[str, Unavailable]]:
    """Return the candidates, the unsupported ones and the unavailable ones. The baseline's fp32 comes first."""
    built: dict[str, Candidate] = {BASELINE_ID: BASELINE}
    unsupported: list[Unsupported] = []
    unavailable: dict[str, Unavailable] = {}
    supported: list[Candidate | Unsupported] = []
    runtimes = device.built_for(recipe.target.runtime)
    for backend in all_backends():
        if backend.runtime not in runtimes:
            continue
        entries = offers(backend.runtime, complete_device(device, facts))
        supported += entries
        elsewhere = missing_on_board(facts, backend.runtime, device.runtimes[backend.runtime].versions)
        for entry in entries:
            if isinstance(entry, Unsupported):
                unsupported.append(entry)
            elif elsewhere is not None and entry.id != BASELINE_ID:
                unavailable[entry.id] = elsewhere
            elif (lacks := lacking(packages_for(entry), backend.extra)) is not None:
                unavailable[entry.id] = Unavailable(why=lacks.why, command=lacks.command)
            else:
                built[entry.id] = entry
    needed = lacking(backend_for(BASELINE.runtime).packages, backend_for(BASELINE.runtime).extra)
    if needed is not None:
        raise NOTHING_TO_BUILD(device=device.name, reasons=(needed.why,), command=needed.command)
    require_candidate(device, supported)
    if recipe.quantize.aware:
        require_precision(device, Precision.INT8, "quantize.aware", supported)
    if unavailable and not any(isinstance(entry, Candidate) and entry.id in built for entry in supported):
        reasons = tuple(dict.fromkeys(reason.why for reason in unavailable.values()))
        raise NOTHING_TO_BUILD(device=device.name, reasons=reasons, command=next(iter(unavailable.values())).command)
    return tuple(built.values()), tuple(unsupported), unavailable


def add_trained_candidates(
    candidates: tuple[Candidate, ...], unavailable: dict[str, Unavailable], recipe: Recipe, data: DataSummary
) -> tuple[tuple[Candidate, ...], dict[str, Unavailable]]:
    """Append the candidates that need another training, if the recipe asks for them.

    Raises NOTHING_CHANGES_HERE: the recipe asks for a changed network only, and the network cannot be changed.
    """
    no_surgery = surgery_unavailable(recipe, data)
    if recipe.surgery.instead and no_surgery is not None:
        raise NOTHING_CHANGES_HERE(because=no_surgery.why, command=no_surgery.command)
    aware = aware_candidates(candidates) if recipe.quantize.aware else ()
    built = list(candidates)
    for more, why in (
        (aware, aware_unavailable(recipe, data)),
        (surgery_candidates(candidates, recipe), no_surgery),
    ):
        if why is None:
            built += more
        else:
            unavailable = {**unavailable, **{candidate.id: why for candidate in more}}
    return tuple(built), unavailable
