"""The one place that imports OpenVINO and NNCF at build time: they report to nobody from here.

Both packages send usage events over the network when they are imported, and leave a client id in the home folder, unless the
package ``openvino_telemetry`` cannot be imported; they look for exactly that and go on without it.
"""

from __future__ import annotations

import logging
import sys
from typing import Any


def import_openvino() -> Any:
    """The module ``openvino``, with its telemetry left out."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def import_nncf() -> Any:
    """The module ``nncf``, with its telemetry left out and its talk below errors turned off."""
    import_openvino()
    # nncf imports torch where that is installed, whose extension builder warns of a missing GPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf
