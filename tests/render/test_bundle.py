"""The pages inside a bundle say what was measured and where, and what is not known is said to be unknown."""

from __future__ import annotations

import pytest

from edgecnn.models.catalogue import arch_named
from edgecnn.render.bundle import bundle_licences, bundle_readme
from edgecnn.values.report import Choice
from tests.render.reports import a_build, a_report, a_row

CHOICE = Choice(state="settled", candidate="onnxruntime-int8", why="faster", carried=("onnxruntime-int8",))
REPORT = a_report(a_row(), choice=CHOICE)


@pytest.mark.parametrize(
    ("kit", "python", "packages"),
    [
        ("litert-int8", "3.10", '"ai-edge-litert>=2.3,<3" numpy pillow'),
        ("openvino-int8", "3.10", '"openvino>=2026.2,<2027" numpy pillow'),
        ("tensorrt-fp16", "3.8", "numpy pillow"),
    ],
)
def test_one_python_serves_every_kit_that_is_carried(kit: str, python: str, packages: str) -> None:
    choice = CHOICE.model_copy(update={"candidate": kit, "carried": (kit, "onnxruntime-int8")})
    page = bundle_readme(a_report(a_row(kit), a_row(), choice=choice))
    assert f" {python} " in page
    assert f"pip install {packages}\n" in page


def test_the_readme_names_the_option_that_accepts_files_of_this_machine() -> None:
    assert "edgecnn bundle verify . --made-here" in bundle_readme(REPORT)


def test_a_latency_that_other_work_slowed_is_no_plain_figure() -> None:
    latency = a_row().latency
    assert latency is not None
    slowed = a_row(latency=latency.model_copy(update={"disturbed": "other work"}))
    assert bundle_readme(a_report(slowed, choice=CHOICE)).count(", slowed by other programs") == 1
    assert "slowed" not in bundle_readme(REPORT)


def test_a_bundle_without_a_kit_says_so() -> None:
    nothing = Choice(state="none", candidate=None, why="nothing was built")
    assert "This bundle has no kit." in bundle_readme(a_report(choice=nothing))


def test_names_that_would_be_markdown_or_html_are_escaped_and_no_path_of_the_builder_is_told() -> None:
    build = a_build(name="[x](javascript:1)<script>\x1b", data="/home/ann/secret", command="edgecnn build --data /home/ann")
    page = bundle_readme(a_report(a_row(), choice=CHOICE, build=build)) + bundle_licences(a_report(build=build))
    assert "# [x\\](javascript:1)&lt;script>\\\\x1b" in page
    assert "ann" not in page


@pytest.mark.parametrize("arch", ["mobilenet-v2", "efficientnet-lite0", "resnet-50"])
def test_published_weights_are_named_with_their_licence_and_source(arch: str) -> None:
    weights = arch_named(arch).weights
    assert weights is not None
    build = a_build(arch=arch, weights_sha256=weights.sha256_prefix.ljust(64, "0"), weights_published=weights)
    page = bundle_licences(a_report(build=build))
    assert f"- Licence: {weights.licence}\n- Source: {weights.source}" in page


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    page = bundle_licences(a_report(build=a_build(weights_sha256="ab" * 32, data="photos")))
    assert f"## The weights\n\nUnknown. Training began from a custom weights file (SHA-256 {'ab' * 32})" in page
    assert "## The training images\n\nUnknown: " in page


def test_of_a_custom_network_nothing_is_said_to_have_trained_it_here() -> None:
    custom = {"weights_sha256": "cd" * 32, "splits": {"train": 0, "calibration": 36, "test": 144}}
    page = bundle_licences(a_report(build=a_build(**custom, data="photos")))
    assert f"## The weights\n\nUnknown. The network is a custom model (a file, SHA-256 {'cd' * 32})" in page
    assert "## The images for calibration and measurements\n\nUnknown: they are from a folder" in page
    assert "Training began" not in page and "## The training images" not in page
    demo = bundle_licences(a_report(build=a_build(**custom, data="the embedded demo, Fashion-MNIST")))
    assert "## The images for calibration and measurements\n\nFashion-MNIST, MIT." in demo


def test_the_demo_s_licence_is_there_in_full_and_random_weights_are_nobody_else_s() -> None:
    page = bundle_licences(a_report(build=a_build(data="the embedded demo, Fashion-MNIST", weights_sha256=None)))
    assert "> The MIT License (MIT)" in page
    assert "> THE SOFTWARE IS PROVIDED" in page
    assert "Training began from random weights, so they are the work of the person who built this." in page
