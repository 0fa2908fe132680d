"""Errors whose text is computed, one for each branch: each becomes a line of ``lines.txt``."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.building import (
    bench_classes_differ,
    every_candidate_failed,
    history_of_what,
    no_history,
    plot_form_unknown,
    report_unreadable,
    unknown_failure,
)
from edgecnn.errors.comparing import (
    baseline_elsewhere,
    bundle_unreadable,
    folder_or_pipeline,
    kit_not_carried,
    latency_baseline_unreadable,
    no_build_to_compare,
    pin_unreadable,
    pinned_kit_missing,
    unknown_candidate,
    unknown_condition,
)
from edgecnn.errors.custom_model import answers_alike, custom_model_classes_differ, custom_model_unusable, unknown_preprocessing
from edgecnn.errors.gates import conditions_differ, logits_not_finite, races_differ, unknown_metric
from edgecnn.errors.measuring import duration_misread, nothing_in_evidence, share_misread, unknown_scenario
from edgecnn.errors.recipes import not_toml, option_not_unicode, recipe_too_old, unknown_pipeline
from edgecnn.errors.store import disk_full, remote_needs_package, unstable_value
from edgecnn.errors.training import (
    batch_too_large,
    batch_too_small_to_share,
    nothing_to_replace,
    nothing_to_share,
    processes_lost,
    training_diverged,
)
from edgecnn.errors.usage import bad_value, no_such_command, no_such_option, own_fault, path_too_long, plot_of_what, unknown_list
from edgecnn.errors.weights import (
    unknown_arch,
    weights_changed,
    weights_corrupt,
    weights_do_not_fit,
    weights_file_missing,
    weights_hold_objects,
    weights_not_a_file,
)

SAMPLES = [
    unstable_value("value.settings.rates[1]", float("nan")),
    disk_full(file="/mnt/a"),
    disk_full(file=None),
    remote_needs_package(url="gs://b", package="gcsfs", extra=None),
    remote_needs_package(url="s3://b", package="s3fs", extra="s3"),
    unknown_metric("--max", "p99", ("drop_pp", "p50_ms", "p99_ms")),
    unknown_metric("[gates] min", "zzz", ("drop_pp", "p50_ms")),
    unknown_metric("--max", "latency", ("drop_pp", "p50_ms"), meant="p50_ms"),
    logits_not_finite("tensorrt-fp16", 7, float("nan"), (3, 100)),
    logits_not_finite("openvino-bf16", 7, float("inf"), (3, 100), ("test", "layer conv3 overflows first")),
    races_differ("kit-a", "kit-b", "r1", None),
    conditions_differ("governor", "powersave", None),
    unknown_pipeline("fastt", ("fast", "small")),
    unknown_pipeline("mine", ("fast", "small"), Path("my recipe.toml")),
    unknown_pipeline("photos", ("fast", "small"), folder=True),
    recipe_too_old(Path("r.toml"), "edgecnn.recipe/1", "edgecnn.recipe/2", {"a": "b", "c": "d"}),
    option_not_unicode("--data", "f\udcff"),
    not_toml(Path("r.toml"), 3, "invalid value"),
    not_toml(Path("r.toml"), None, "invalid value"),
    own_fault(error=KeyError("candidate")),
    no_such_command(command="edgecnn store", name="vrify", known=("list", "verify")),
    no_such_command(command="edgecnn", name="a\nb", known=("build",)),
    no_such_option(command="edgecnn list", option="--jsno", near=("--json",)),
    no_such_option(command="edgecnn build", option="--epochs", near=("--help",), key="train.epochs"),
    no_such_option(command="edgecnn list", option="-z", near=()),
    bad_value(command="edgecnn store gc", name="--days", value="x", reason="it is no number"),
    bad_value(command="edgecnn x", name="FILE", value=None, reason="it is no file"),
    unknown_list(name="archz", known=("archs", "devices")),
    plot_of_what(what="devices", plotted=True),
    plot_of_what(what="archs", plotted=False),
    unknown_list(name="", known=("archs", "devices")),
    path_too_long("/a/" + "x" * 5000),
    share_misread(option="--until", text="2", least=0.001, most=0.5),
    duration_misread(option="--soak", text="60", least_s=30.0, most_s=1800.0),
    nothing_in_evidence(device="cpu", reasons={"onnxruntime-fp32": "the process was killed"}),
    unknown_scenario(name="ofline", known=("SingleStream", "Offline")),
    unknown_scenario(name="x", known=("Offline",)),
    unknown_arch(name="x", nearest=()),
    unknown_arch(name="resnet18", nearest=("resnet-18", "resnet-101")),
    weights_file_missing(path=Path("/a/b.pth")),
    weights_file_missing(path=Path("imagnet")),
    weights_not_a_file(path=Path("w"), kind="a folder", inside=[Path("w/a.pth"), Path("w/b.pth")]),
    weights_hold_objects(path=Path("b.pth"), names=["a.A", "b.B", "c.C", "d.D"]),
    weights_corrupt(source="http://x/y.pth", expected_prefix="1234", found="aaaabbbb"),
    weights_changed(path=Path("/mine.pth"), planned="a" * 64, found="b" * 64),
    weights_do_not_fit(Path("b.pth"), "resnet-18", [f"it lacks {n}" for n in "abcde"]),
    weights_do_not_fit(Path("b.pth"), "resnet-18", ["it lacks a"], fits=["resnet-34"]),
    weights_do_not_fit(Path("b.pth"), "resnet-18", ["it lacks a"], fits=[]),
    answers_alike(path=Path("mine.onnx"), images=36, ways=12),
    custom_model_unusable(
        path=Path("mine.onnx"), because="its input image leaves height and width open", hint="say at which it is used"
    ),
    custom_model_classes_differ(path=Path("mine.onnx"), classes=1000, data="val", found=("cat", "dog")),
    unknown_preprocessing(name="imagnet", known=("imagenet", "half"), nearest="imagenet"),
    nothing_to_replace(
        arch="mobilenet-v2",
        setting="activation=hard-swish",
        lacks="SiLU",
        has="ReLU6, and no squeeze-excite",
        fitting=("efficientnet-b0", "efficientnet-b1"),
    ),
    training_diverged(
        phase="scratch", epoch=3, batch=17, kept="the state after epoch 2 is kept in /r/a", rate=("train.learning_rate", 0.002)
    ),
    training_diverged(phase="scratch", epoch=0, batch=0, kept=None, rate=("train.learning_rate", 0.002)),
    training_diverged(phase="aware", epoch=0, batch=2, kept=None, rate=("quantize.aware_learning_rate", 3e-05)),
    batch_too_large(batch=256, needed_mib=5712.4, room=("cpu", 4096), fits=160),
    batch_too_large(batch=2, needed_mib=5712.4, room=("cpu", 4096), fits=1, ran_out=True),
    batch_too_large(batch=256, needed_mib=5712.4, room=("gpu", 4096), fits=160),
    batch_too_small_to_share(processes=4, images=6, least=2),
    nothing_to_share(processes=2, beside="--transfer head"),
    processes_lost(processes=2, restarts=3, phase="scratch", said="exitcode  : -9 (pid: 7)"),
    bench_classes_differ(data="photos", name="boots", classes=["bag", "boot"]),
    bench_classes_differ(data="photos", name="hat", classes=["bag", *[f"class-{number}" for number in range(8)]]),
    every_candidate_failed(reasons={"quantize:onnxruntime-fp32": "no", "package:x": "no"}),
    unknown_failure(error=RuntimeError("Check 'x' failed\nat line 3")),
    report_unreadable(path=Path("out/report.json"), because="build.arch: Field required"),
    plot_form_unknown(path=Path("out/frontier.jpg"), forms=(".html", ".png", ".svg")),
    no_history(asked="resnet-34", store=Path("/store"), known=("resnet-18 onnxruntime-fp32",)),
    no_history(asked="x", store=Path("/store"), known=()),
    history_of_what(options=("--arch", "--target")),
    no_build_to_compare(folder=Path("builds/x")),
    bundle_unreadable(path=Path("b/choice.json"), because="it lacks 'kits'"),
    kit_not_carried(folder=Path("b"), candidate="openvino-int8", carried=("onnxruntime-fp32", "tensorrt-fp16")),
    kit_not_carried(folder=Path("b"), candidate="x", carried=("litert-fp32", "onnxruntime-fp32"), here=("onnxruntime-fp32",)),
    kit_not_carried(folder=Path("b"), candidate="x", carried=("litert-fp32",), here=()),
    kit_not_carried(folder=Path("b"), candidate=None, carried=()),
    latency_baseline_unreadable(path=Path("board.json"), because="it was edited"),
    baseline_elsewhere(differing=(("cpu", "Cortex-A76", "AMD EPYC"), ("kernel", "6.1", "unknown"))),
    unknown_condition(name="cpus", known=("machine", "cpu", "kernel")),
    folder_or_pipeline(name="demo"),
    pin_unreadable(where="base.json", because="it was edited"),
    no_build_to_compare(folder=Path("x"), record=True),
    unknown_candidate(
        folder=Path("builds/x"), candidate="onnxruntime-in8", known=("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp16")
    ),
    unknown_candidate(
        folder=Path("builds/x"), candidate="fast one", known=("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp16")[:1]
    ),
    pinned_kit_missing("base.json", "0a8b" * 16, "the store s does not hold it", "edgecnn build --arch a", ("x 1 (here 2)",)),
]
