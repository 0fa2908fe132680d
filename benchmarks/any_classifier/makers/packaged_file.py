"""PaddleOCR's text orientation, as the package rapidocr-onnxruntime ships it: Apache-2.0, input 3 × 48 × 192.

PYTHON packaged_file.py orientation WORK
"""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import files
from pathlib import Path

NAME = "ch_ppocr_mobile_v2.0_cls_infer.onnx"


def main(work: Path) -> None:
    file = next(file for file in files("rapidocr-onnxruntime") or () if file.name == NAME)
    shutil.copyfile(file.locate(), work / "orientation.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[2]))
