"""Facts of a trained network: its scaling, its initial weights, its surgery and its composed images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.building.execute import Execution
from edgecnn.models.compound import base_name
from edgecnn.values.arch import PretrainedWeights
from edgecnn.values.scale import Inheritance, ScaledNetwork
from edgecnn.values.training import Surgery


def history_of(execution: Execution) -> Mapping[str, Any] | None:
    """Return the ``training.history.History`` of the training; None if nothing was trained."""
    trained = execution.artifacts.get("train")
    if trained is None:
        return None
    history: Mapping[str, Any] = json.loads((trained.folder / "history.json").read_text("utf-8"))
    return history


def composed_images_folder(execution: Execution) -> Path | None:
    """Return the folder of composed training images; None if there are none."""
    synthesized = execution.artifacts.get("synthesize")
    return None if synthesized is None else synthesized.folder


def scaled_network(execution: Execution) -> ScaledNetwork | None:
    """Return the scaling of the network and its inherited weights; None for an unscaled network."""
    resolved, history = execution.plan.resolved, history_of(execution)
    if resolved.arch.scale is None or history is None:
        return None
    return ScaledNetwork(
        base=base_name(resolved.arch.name),
        asked=resolved.asked.model.scale,
        depth=resolved.arch.scale.depth,
        width=resolved.arch.scale.width,
        inheritance=Inheritance.model_validate(history["inheritance"]),
    )


def started_from_random_weights(execution: Execution) -> bool:
    """Whether ``--transfer auto`` chose random weights after it probed the pretrained ones."""
    history = history_of(execution)
    return execution.plan.resolved.weights.pretrained and history is not None and history["initial"]["kind"] == "random"


def weights_sentence(execution: Execution) -> str:
    """Describe the initial weights of training, their reason and the result of surgery."""
    history, changed = history_of(execution), surgery_of_trunk(execution)
    sentences = [execution.plan.resolved.weights.why]
    if history is not None and started_from_random_weights(execution):
        sentences = ["random weights", *filter(None, (history.get("transfer"),))]
    if changed is not None:
        top1s = changed["after"]["validation_top1"], changed["unchanged_validation_top1"]
        shares = "{:.1%} of validation, {:.1%} before".format(*top1s)
        parameters = "{after:,} of {before:,} parameters".format(**changed["parameters"])
        sentences += [f"then {Surgery.model_validate(changed['surgery']).done}: {parameters}, {shares}"]
    return "; ".join(sentences)


def surgery_of_trunk(execution: Execution) -> Mapping[str, Any] | None:
    """Return the facts of surgery if its network replaced the trained one; otherwise None."""
    trunk = execution.artifacts.get("export")
    if trunk is None or trunk.kind != "surgery":
        return None
    facts: Mapping[str, Any] = json.loads((trunk.folder / "surgery.json").read_text("utf-8"))
    return facts


def weights_published(execution: Execution) -> PretrainedWeights | None:
    """Return the published weights that training started from; None if it started from scratch or from another file."""
    sha256, resolved = weights_sha256(execution), execution.plan.resolved
    weights = None if sha256 is None or resolved.custom_model is not None else resolved.arch.weights
    if weights is None or resolved.weights.kind != "file":
        return weights
    return weights if weights.sha256_prefix and str(sha256).startswith(weights.sha256_prefix) else None


def weights_sha256(execution: Execution) -> str | None:
    """Return the SHA-256 of the fetched weights or of the custom model; None if training started from scratch."""
    custom = execution.plan.resolved.custom_model
    if custom is not None:
        return custom.content
    fetched = execution.artifacts.get("fetch")
    if fetched is None or started_from_random_weights(execution):
        return None
    return str(json.loads((fetched.folder / "weights.json").read_text(encoding="utf-8"))["sha256"])
