"""Which layers lose most by INT8: each is quantized alone, and what the network then answers is held against the float network.

One model a layer, and not one pass with every layer's output beside its float twin: how far a layer's own output is off says
little of what the network makes of it (a large error before a pooling may be harmless, a small one before the classifier may
not), and errors that arrived from earlier layers would be counted again. It is calibrated once; a model is then a copy of the
trunk with one layer's numbers rounded.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, log_softmax

from edgecnn.graph.macs import mac_table, tensors_of_layers
from edgecnn.graph.onnx_file import load_model, require_unquantized
from edgecnn.graph.passes.qdq import one_quantized, read_rounding
from edgecnn.runtimes.job import Job, RankSettings, calibration_pixels, evenly, require_finite_answers
from edgecnn.runtimes.onnxruntime_files import logits_of, static_qdq
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.layers import RANKING_FILE_NAME, RankedLayer, Ranking
from edgecnn.values.stage import Progress

_AS_WRITTEN = {"session.disable_quant_qdq": "1"}
"""Q and DQ run as they stand: nothing is fused, so that only what is to be rounded is."""


def rank_layers(settings: RankSettings, onnx: Path, prepared: Path, out: Path, tell: Progress) -> None:
    """Write ``ranking.json``: every multiplying layer of the trunk, the most damaging first; of equal ones the earlier first.

    ``onnx``: the trunk. ``prepared``: the folder that ``prepare`` made.

    Raises ALREADY_QUANTIZED: the trunk holds quantization nodes. CALIBRATION_SET_TOO_SMALL, CALIBRATION_NOT_FINITE: see
    ``runtimes/job.py``.
    """
    trunk = load_model(onnx)
    require_unquantized(trunk, onnx)
    table, tensors = mac_table(trunk), tensors_of_layers(trunk)
    tell.step("rank layers", 0, len(table.layers))
    int8 = Candidate(id="ranking", runtime=Runtime.ONNXRUNTIME, precision=Precision.INT8, method=Method.POST_TRAINING)
    job = Job(onnx, out, int8, settings.normalization, calibration_pixels(prepared, settings.images))
    require_finite_answers(job, partial(logits_of, onnx))
    scheme = Scheme(activation_dtype="uint8", activation_symmetric=False, reduced_range=settings.reduced_range)
    rounding = read_rounding(static_qdq(job, scheme, trunk))
    validation = np.load(prepared / "validation.pixels.npy", mmap_mode="r", allow_pickle=False)
    feed = settings.normalization.feed(evenly(validation, min(settings.probes, len(validation))))
    several = settings.multi_label
    exact = log_probabilities(logits_of(onnx, feed), several=several)
    ranked = []
    for done, layer in enumerate(table.layers, start=1):
        alone = one_quantized(trunk, rounding, layer.name, tensors[layer.name])
        answered = log_probabilities(logits_of(alone.SerializeToString(), feed, _AS_WRITTEN), several=several)
        ranked.append(
            RankedLayer(
                name=layer.name,
                op=layer.op,
                outputs=layer.outputs,
                damage_nats=divergence(exact, answered),
                mac_share=layer.macs / table.total,
            )
        )
        tell.step("rank layers", done, len(table.layers))
    ranked.sort(key=lambda each: -each.damage_nats)
    ranking = Ranking(layers=tuple(ranked), calibration_images=settings.images, probe_images=len(feed))
    (out / RANKING_FILE_NAME).write_text(ranking.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")


def divergence(exact: npt.NDArray[np.float64], answered: npt.NDArray[np.float64]) -> float:
    """Mean Kullback-Leibler divergence in nats of log-probabilities (N, classes) from exact ones; 0 or more."""
    return max(0.0, float(np.mean(np.sum(np.exp(exact) * (exact - answered), axis=1))))


def log_probabilities(logits: npt.NDArray[np.float32], *, several: bool) -> npt.NDArray[np.float64]:
    """Of every class, (N, classes); where an image has several labels of each one and of its absence, (N, 2 · labels)."""
    held = logits.astype(np.float64)
    return np.asarray(log_expit(np.concatenate([held, -held], axis=1)) if several else log_softmax(held, axis=1))
