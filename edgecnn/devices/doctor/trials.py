"""Try a part whose import takes seconds or may end the process: ``python -m edgecnn.devices.doctor.trials PART``.

Each function tries one part and returns its findings. Like the runner, the program ends with one JSON object with ``ok``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgecnn.errors.wording import reason_in
from edgecnn.runner.messages import RunnerError, say
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.runs.parent import hold_lease


def main(arguments: Sequence[str] | None = None) -> int:
    """Try one part; return 0 if it works."""
    parser = argparse.ArgumentParser(prog="trials")
    parser.add_argument("part", choices=TRIALS)
    parser.add_argument("--lease-s", type=float, required=True)
    options = parser.parse_args(arguments)
    hold_lease(options.lease_s)
    try:
        result = TRIALS[options.part]()
    except Exception as error:  # noqa: BLE001 - any error of a library is the finding
        what = f"{type(error).__name__}: {reason_in(error)}"
        say({"ok": False, "error": RunnerError("part-broken", what).facts()})
        return 1
    say({**result, "ok": True})
    return 0


def train() -> dict[str, Any]:
    """Train a tiny network for one step on the CPU, then on every GPU that torch finds.

    All packages of training and export are imported; torchvision's compiled operators must match torch's build.
    """
    import onnx
    import onnxscript
    import safetensors.torch
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)
    loss = _training_step(torch, "cpu")
    versions = {module.__name__: module.__version__ for module in (torch, torchvision, onnx, onnxscript)}
    gpus = [_try_gpu(torch, index) for index in range(torch.cuda.device_count())]
    saved = len(safetensors.torch.save({"kept": kept}))
    return {"found": f"trained one step on the CPU, loss {loss:.3f}", "versions": versions, "gpus": gpus, "saved_bytes": saved}


def _try_gpu(torch: Any, index: int) -> dict[str, Any]:
    model = torch.cuda.get_device_name(index)
    try:
        _training_step(torch, f"cuda:{index}")
    except RuntimeError as error:
        return {"model": model, "why": reason_in(error)}
    return {"model": model, "why": None}


def _training_step(torch: Any, device: str) -> float:
    """Make one step of gradient descent. Raises ArithmeticError: the loss is not a number, or did not decrease."""
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 4))
    network = torch.nn.Sequential(*layers).to(device)
    images, labels = torch.rand(8, 3, 16, 16, device=device), torch.arange(8, device=device) % 4
    descent = torch.optim.SGD(network.parameters(), lr=0.1)
    before = torch.nn.functional.cross_entropy(network(images), labels)
    before.backward()
    descent.step()
    after = torch.nn.functional.cross_entropy(network(images), labels)
    if not after.item() < before.item():
        raise ArithmeticError(f"the loss changed from {before.item()} to {after.item()} in a training step on {device}")
    return float(after.item())


def aware() -> dict[str, Any]:
    """Train a tiny network for one step with INT8 rounding, and convert it to integers."""
    import torch

    from edgecnn.training.aware import calibrate, with_integer_weights, with_rounding
    from edgecnn.values.candidate import Scheme

    size = ImageSize.square(SIDE_PX)
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 4))
    network, images = (
        with_rounding(torch.nn.Sequential(*layers), Scheme(activation_dtype="uint8", activation_symmetric=False), size),
        torch.rand(4, 3, *size),
    )
    calibrate(network, [images.numpy()])
    network(images).square().sum().backward()
    torch.optim.SGD(network.parameters(), lr=0.01).step()
    answer = with_integer_weights(network, size)(images)
    if answer.shape != (4, 4) or not bool(torch.isfinite(answer).all()):
        raise ArithmeticError(f"the integer network returned {tuple(answer.shape)}, not (4, 4) finite numbers")
    return {"found": "trained a tiny network for one step with rounding, and predicted with its integers"}


def zoo() -> dict[str, Any]:
    """Predict one image with a small network of timm."""
    import timm
    import torch

    network = timm.create_model(ZOO_NETWORK, pretrained=False, num_classes=4).eval()
    with torch.inference_mode():
        answer = network(torch.rand(1, 3, 32, 32))
    if answer.shape != (1, 4) or not bool(torch.isfinite(answer).all()):
        raise ArithmeticError(f"{ZOO_NETWORK} returned {tuple(answer.shape)}, not four finite numbers")
    return {"found": "predicted with a small network of timm"}


def report() -> dict[str, Any]:
    """Compile a chart of two points as the page does, and fill a template with escaping."""
    import altair
    import jinja2
    import vl_convert

    data = altair.InlineData(values=[{"x": 1, "y": 2}, {"x": 2, "y": 1}])
    chart = altair.Chart(data).mark_point().encode(x="x:Q", y="y:Q")
    vega = vl_convert.vegalite_to_vega(chart.to_dict())
    page = jinja2.Environment(autoescape=True).from_string("{{ text }}").render(text="<b>")
    if page != "&lt;b&gt;" or "marks" not in vega:
        raise ArithmeticError("a chart or a template was not rendered correctly")
    return {"found": "compiled a chart and filled a template"}


def parquet() -> dict[str, Any]:
    """Write a table of one row in memory and read it back."""
    import pyarrow
    from pyarrow import parquet as format_

    place = pyarrow.BufferOutputStream()
    format_.write_table(pyarrow.table({"path": ["a.jpg"], "label": ["cat"]}), place)
    if format_.read_table(pyarrow.BufferReader(place.getvalue())).to_pylist() != [{"path": "a.jpg", "label": "cat"}]:
        raise ArithmeticError("the table that was read differs from the written one")
    return {"found": "wrote a table and read it back"}


def remote() -> dict[str, Any]:
    """Write a file in memory and read it back."""
    import fsspec

    place = fsspec.filesystem("memory")
    place.pipe_file("/edgecnn-trial", b"entry")
    if place.cat_file("/edgecnn-trial") != b"entry":
        raise ArithmeticError("the file that was read differs from the written one")
    return {"found": "wrote a file and read it back"}


def sbom() -> dict[str, Any]:
    """Write a CycloneDX document with one component and read it back."""
    import json

    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from cyclonedx.output.json import JsonV1Dot6

    written = json.loads(JsonV1Dot6(Bom(components=[Component(name="model")])).output_as_string())
    if [component["name"] for component in written["components"]] != ["model"]:
        raise ArithmeticError("the component that was read differs from the written one")
    return {"found": "wrote a document of one component"}


def s3() -> dict[str, Any]:
    """Make a client of S3, without a request."""
    import s3fs

    s3fs.S3FileSystem(anon=True, skip_instance_cache=True)
    return {"found": "made a client, without a request"}


def ray() -> dict[str, Any]:
    """Describe a task without running it, since a cluster takes seconds to start."""
    import ray as library

    task = library.remote(remote).options(num_cpus=1, max_retries=1)
    return {"found": f"described a task ({type(task).__name__}), without a cluster"}


def labgrid() -> dict[str, Any]:
    """Make a reservation and read it back, without a coordinator."""
    import labgrid.remote.client  # noqa: F401 - the client of edgecnn
    from labgrid.remote.common import Reservation

    reservation = Reservation(owner="edgecnn", filters={"main": {"device": "cpu"}})
    if Reservation.from_pb2(reservation.as_pb2()).filters != reservation.filters:
        raise ArithmeticError("the reservation that was read differs from the made one")
    return {"found": "made a reservation and read it back, without a coordinator"}


def loadgen() -> dict[str, Any]:
    """Create and destroy LoadGen's two ends."""
    import mlperf_loadgen as library

    system = library.ConstructSUT(lambda queries: None, lambda: None)
    pictures = library.ConstructQSL(1, 1, lambda indices: None, lambda indices: None)
    library.DestroyQSL(pictures)
    library.DestroySUT(system)
    return {"found": "created and destroyed a system under test"}


def tensorboard() -> dict[str, Any]:
    """Write a point of a curve and read it back."""
    import tempfile

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    with tempfile.TemporaryDirectory() as folder:
        writer = EventFileWriter(folder)
        writer.add_event(Event(step=1, summary=Summary(value=[Summary.Value(tag="loss", simple_value=0.5)])))
        writer.close()
        points = EventAccumulator(folder).Reload().Scalars("loss")
    if [(point.step, point.value) for point in points] != [(1, 0.5)]:
        raise ArithmeticError("the point that was read differs from the written one")
    return {"found": "wrote a point of a curve and read it back"}


def mlflow() -> dict[str, Any]:
    """Make a client of an MLflow server, without a request."""
    import os

    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    MlflowClient(tracking_uri="http://127.0.0.1:9")
    return {"found": "made a client, without a request"}


def fit() -> dict[str, Any]:
    """Search two objectives over three points, in a file that is opened twice."""
    import tempfile

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        named: dict[str, Any] = {"storage": f"sqlite:///{folder}/study.db", "study_name": "trial", "load_if_exists": True}
        for _ in range(2):
            study = optuna.create_study(directions=["minimize", "maximize"], **named)
            study.optimize(lambda trial: (at := trial.suggest_float("at", 0, 1), at), n_trials=2)
        if len(study.trials) != 4:  # noqa: PLR2004 - two calls of two trials
            raise ArithmeticError("the search did not continue in its file")
    return {"found": "searched, and continued in the same file"}


SIDE_PX = 16
"""Side of the images of the trials' networks, px."""
ZOO_NETWORK = "test_resnet"
"""A network of timm's for tests, with a third of a million parameters."""
TRIALS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "train": train,
    "aware": aware,
    "zoo": zoo,
    "report": report,
    "parquet": parquet,
    "remote": remote,
    "sbom": sbom,
    "s3": s3,
    "ray": ray,
    "labgrid": labgrid,
    "loadgen": loadgen,
    "tensorboard": tensorboard,
    "mlflow": mlflow,
    "fit": fit,
}

if __name__ == "__main__":
    sys.exit(main())
