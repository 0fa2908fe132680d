"""The normalizations that published weights of these families were trained with."""

from __future__ import annotations

from edgecnn.values.dataset import Normalization

IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""Channel means and standard deviations of ImageNet, as every torchvision recipe uses them."""

HALF = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""-1…1, as Google's Inception, Xception, MobileNet V1 and NASNet were trained (TF-slim's inception_preprocessing.py)."""

TENSORFLOW_LITE = Normalization(mean=(127 / 255, 127 / 255, 127 / 255), std=(128 / 255, 128 / 255, 128 / 255))
"""``(x - 127) / 128`` on 0…255, written in 0…1 units: efficientnet_lite_builder.py, MEAN_RGB and STDDEV_RGB."""
