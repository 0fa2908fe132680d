"""A network that was trained anew, for INT8 or after surgery, at another resolution: the same file, its input declared larger.

Its training left an ONNX file and no weights to export again. Convolutions and averages take pictures of any side, so nothing but
the declared sides has to change; a graph with sizes written into it is refused by shape inference or by the runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import PositiveInt

from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Progress, Role, Stage


class WidenedStage(Stage):
    """``model.onnx`` → the same for pictures of another side, ``macs.json`` and ``golden_logits.npy``.

    Inputs: ``model`` (whatever left a trunk of its own) and ``pixels`` (prepare, of the new side).
    """

    kind: ClassVar[str] = "widened"
    revision: ClassVar[int] = 1

    side_px: PositiveInt
    normalization: Normalization

    @property
    def tools(self) -> tuple[str, ...]:
        """What infers shapes, and what answers."""
        return ("onnx", "onnxruntime")

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the trunk."""
        import numpy as np
        import onnx

        from edgecnn.graph.checks import onnx_logits
        from edgecnn.graph.macs import mac_table
        from edgecnn.graph.onnx_file import load_model, save_model
        from edgecnn.runner.pixels import to_feed

        model = load_model(input_paths["model"] / "model.onnx")
        for size in model.graph.input[0].type.tensor_type.shape.dim[2:]:
            size.dim_value = self.side_px
        del model.graph.value_info[:]
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        save_model(model, out / "model.onnx")
        (out / "macs.json").write_text(mac_table(out / "model.onnx").model_dump_json(indent=1) + "\n", encoding="utf-8")
        golden = np.load(input_paths["pixels"] / "golden" / "pixels.npy")
        feed = to_feed(golden, "float32", "NCHW", self.normalization.mean, self.normalization.std)
        np.save(out / "golden_logits.npy", onnx_logits(out / "model.onnx", feed))
