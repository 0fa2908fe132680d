"""The trunk of a custom file, made and compared with the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from scipy.special import expit

from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.feeding import CustomSession
from edgecnn.graph.custom.onnx_entry import read_entry, read_model
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk
from edgecnn.graph.onnx_file import save_model
from tests.graph.custom_files import feeding_named, pictures


def trunk_of(path: Path) -> onnx.ModelProto:
    """After its answers to pictures were found to be the file's own."""
    entry, feeding, (pixels, _) = read_entry(read_model(path), path), feeding_named("half"), pictures(10)
    theirs = CustomSession(path, entry).answers(pixels, feeding)
    trunk = convert_to_trunk(read_model(path), entry, feeding.channels, path)
    save_model(trunk, path.with_name("trunk.onnx"))
    ours = onnx_logits(path.with_name("trunk.onnx"), feeding.normalization.feed(pixels))
    ours = np.exp(ours) / np.exp(ours).sum(axis=1, keepdims=True) if entry.ends_in_softmax else ours
    ours = expit(ours) if entry.ends_in_sigmoid else ours
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert np.ptp(theirs, axis=0).any()
    onnx.checker.check_model(trunk)
    return trunk
