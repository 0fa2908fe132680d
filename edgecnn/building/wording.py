"""Sentences of the report that follow from facts: what to know before believing the table, and what did not run."""

from __future__ import annotations

import shlex

from edgecnn.building.assemble import Scene
from edgecnn.building.request import BuildRequest


def settle_command(request: BuildRequest) -> str:
    """What measures the carried kits on the device, to be typed here; USER@DEVICE is the reader's to fill in."""
    bundle = shlex.quote(str(request.out / "bundle"))
    device = f"USER@{request.device.name}"
    kit = "edgecnn-bundle/kits/onnxruntime-fp32"
    return f"scp -r {bundle} {device}:edgecnn-bundle && ssh {device} 'cd {kit} && python3 -m runner measure ../..'"


def notices(scene: Scene) -> tuple[str, ...]:
    """In the order in which a sceptic would ask."""
    resolved = scene.execution.plan.resolved
    said = []
    if resolved.weights.fell_back:
        said.append(f"NOT PRETRAINED: {resolved.weights.why}")
    if resolved.data.origin == "demo":
        said.append(
            f"demo: Fashion-MNIST at {resolved.recipe.model.resolution_px} px, {resolved.data.counts['train']:,} training images,"
            " its accuracy says nothing of ImageNet or of your photographs"
        )
    if not scene.attached:
        said.append(f"{resolved.attachment.why}: accuracy was computed here, latency on the device is not known")
    if any(candidate.needs_engine for candidate in resolved.candidates):
        said.append(
            "accuracy of engines is emulated on fp32-carrier twins in ONNX Runtime (both hashes are in report.json): "
            "weights and INT8 steps are the device's, half-precision activations are not"
        )
    for result in scene.seen.races.values():
        if result.reused:
            said.append(f"the race of {result.observed_at} was reused")
            break
    if resolved.data.skipped:
        said.append(f"{len(resolved.data.skipped)} files were skipped: {'; '.join(resolved.data.skipped[:3])}")
    for name, lacking in resolved.unavailable.items():
        said.append(f"{name} was not built: {lacking.why}; {lacking.command}")
    return tuple(said)


def unexecuted(scene: Scene) -> tuple[str, ...]:
    """What ships without having run here."""
    resolved = scene.execution.plan.resolved
    engines = [candidate.id for candidate in resolved.candidates if candidate.needs_engine and candidate.id in scene.seen.kits]
    if not engines:
        return ()
    names = ", ".join(engines)
    built = [name for name in engines if f"compile:{name}" in scene.execution.artifacts]
    lines = [
        f"{names}: no engine was executed; runner/sessions/tensorrt_gpu.py (deserializing, buffers, enqueue) needs a GPU",
        f"{names}: the engine that the device will use is built there, by `python3 -m runner build-engine`",
    ]
    if built and resolved.builder:
        where = f"for the GPUs in build.json, not for {resolved.device.title}"
        lines.append(f"{', '.join(built)}: parsed and built ahead of time by {resolved.builder} {where}")
    else:
        lines.append(f'{names}: not even parsed here; `pip install "edgecnn[tensorrt-rtx]"` (Linux x86-64) does that')
    return tuple(lines)
