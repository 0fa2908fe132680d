"""Rank layers by their loss through INT8: quantize each layer alone, and compare the network's outputs with the float network's.

Comparing every layer's output in one pass would be wrong: the error of a layer's output says little about the network's output
(a large error before a pooling may be harmless, a small one before the classifier may not), and errors of earlier layers would
count again. The network is calibrated once; each model is then a copy of the trunk with one layer rounded.
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, log_softmax

from edgecnn.graph.macs import mac_table, tensors_of_layers
from edgecnn.graph.onnx_file import load_model, require_unquantized
from edgecnn.graph.quantization_nodes import quantize_one_layer, read_rounding
from edgecnn.runtimes.job import Job, RankSettings, calibration_pixels, choose_evenly, require_finite_on_calibration
from edgecnn.runtimes.onnxruntime_files import logits_of, static_qdq
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.layers import RANKING_FILE_NAME, RankedLayer, Ranking
from edgecnn.values.stage import Progress

_AS_WRITTEN = {"session.disable_quant_qdq": "1"}
"""Run Q and DQ as written: without fusion, only the layer under test is rounded."""


def rank_layers(settings: RankSettings, onnx: Path, prepared: Path, out: Path, tell: Progress) -> None:
    """Write ``ranking.json``: every multiplying layer of the trunk, the most damaging first, ties in the trunk's order.

    ``onnx``: the trunk. ``prepared``: the folder that ``prepare`` made.

    Raises ALREADY_QUANTIZED: the trunk has quantization nodes. CALIBRATION_SET_TOO_SMALL, CALIBRATION_NOT_FINITE: see
    ``runtimes/job.py``.
    """
    trunk = load_model(onnx)
    require_unquantized(trunk, onnx)
    table, tensors = mac_table(trunk), tensors_of_layers(trunk)
    tell.step("rank layers", 0, len(table.layers))
    int8 = Candidate(id="ranking", runtime=Runtime.ONNXRUNTIME, precision=Precision.INT8, method=Method.POST_TRAINING)
    job = Job(onnx, out, int8, settings.normalization, calibration_pixels(prepared, settings.images))
    require_finite_on_calibration(job, partial(logits_of, onnx))
    scheme = Scheme(activation_dtype="uint8", activation_symmetric=False, reduced_range=settings.reduced_range)
    rounding = read_rounding(static_qdq(job, scheme, trunk))
    validation = np.load(prepared / "validation.pixels.npy", mmap_mode="r", allow_pickle=False)
    feed = settings.normalization.feed(choose_evenly(validation, min(settings.probes, len(validation))))
    exact = log_probabilities(logits_of(onnx, feed), several=settings.multi_label)
    ranked = []
    for number, layer in enumerate(table.layers, start=1):
        model = quantize_one_layer(trunk, rounding, layer.name, tensors[layer.name])
        rounded = log_probabilities(logits_of(model.SerializeToString(), feed, _AS_WRITTEN), several=settings.multi_label)
        ranked.append(
            RankedLayer(
                name=layer.name,
                op=layer.op,
                outputs=layer.outputs,
                damage_nats=divergence(exact, rounded),
                mac_share=layer.macs / table.total,
            )
        )
        tell.step("rank layers", number, len(table.layers))
    ranked.sort(key=attrgetter("damage_nats"), reverse=True)
    ranking = Ranking(layers=tuple(ranked), calibration_images=settings.images, probe_images=len(feed))
    (out / RANKING_FILE_NAME).write_text(ranking.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")


def divergence(exact: npt.NDArray[np.float64], rounded: npt.NDArray[np.float64]) -> float:
    """Return the mean Kullback-Leibler divergence in nats of log-probabilities (N, classes) from exact ones; 0 or more."""
    return max(0.0, float(np.mean(np.sum(np.exp(exact) * (exact - rounded), axis=1))))


def log_probabilities(logits: npt.NDArray[np.float32], *, several: bool) -> npt.NDArray[np.float64]:
    """Return log-probabilities of the classes, (N, classes). Several labels: of each label and its absence, (N, 2 · labels)."""
    values = logits.astype(np.float64)
    return np.asarray(log_expit(np.concatenate([values, -values], axis=1)) if several else log_softmax(values, axis=1))
