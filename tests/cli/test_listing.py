"""`edgecnn list archs`: what each network costs, and what was published of it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from edgecnn.models.catalogue import all_archs
from tests.cli.test_usage import edgecnn
from tests.house.source_tree import ROOT


def test_the_json_is_as_its_schema_says_and_has_every_network() -> None:
    rows = json.loads(edgecnn("list", "archs", "--json").stdout)
    jsonschema.validate(rows, json.loads((ROOT / "docs" / "schemas" / "catalogue.json").read_text()))
    assert [row["name"] for row in rows] == [spec.name for spec in all_archs()]
    b0 = next(row for row in rows if row["name"] == "efficientnet-b0")
    assert (b0["parameters"], b0["macs"], b0["depth"], b0["resolution_px"]) == (5_288_548, 385_814_752, 82, 224)
    assert (b0["accuracy_top1"], b0["accuracy_top5"]) == (0.77692, 0.93532)
    assert b0["accuracy_source"] == "torchvision, EfficientNet_B0_Weights"


def test_the_table_shows_cost_and_published_accuracy_and_says_where() -> None:
    shown = edgecnn("list", "archs").stdout
    line = next(row for row in shown.splitlines() if row.startswith("resnet-50 "))
    assert line.split()[1:] == ["2015", "25,557,032", "4.09", "G", "50", "97.5", "224", "32", "76.1", "92.9", "torchvision"]
    assert "accuracy source: torchvision, ResNet50_Weights" in shown
    assert "not measured here" in shown


def test_the_plot_is_written_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # builds of the folder that it is called in are drawn too
    done = edgecnn("list", "archs", "--plot", str(tmp_path / "n.html"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("bytes, none of your builds on it\n")
    assert "86 networks" in (tmp_path / "n.html").read_text("utf-8")


def test_a_page_is_not_written_under_a_picture_s_name(tmp_path: Path) -> None:
    done = edgecnn("list", "archs", "--plot", str(tmp_path / "n.png"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "[plot-form-unknown]" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_plot_of_devices_is_refused(tmp_path: Path) -> None:
    done = edgecnn("list", "devices", "--plot", str(tmp_path / "n.html"))
    assert done.returncode == 2
    assert "[plot-of-what]" in done.stderr


def test_an_image_too_small_for_the_network_is_refused_before_any_work() -> None:
    done = edgecnn("plan", "--arch", "inception-v3", "--target", "cpu", "--weights", "none", "--set", "model.resolution_px=64")
    assert done.returncode == 2
    assert "[resolution-too-small]" in done.stderr


def test_a_pattern_shows_the_names_that_fit() -> None:
    rows = json.loads(edgecnn("list", "archs", "repvit*", "--json").stdout)
    assert [row["name"] for row in rows] == ["repvit-m0.9", "repvit-m1.1"]
    rows = json.loads(edgecnn("list", "devices", "raspberry-pi-*", "--json").stdout)
    assert {row["name"] for row in rows} == {"raspberry-pi-4", "raspberry-pi-5"}
    done = edgecnn("list", "archs", "repvat*")
    assert "[unknown-arch]" in done.stderr


@pytest.mark.slow  # a thousand networks are looked at
def test_what_the_installed_timm_has_is_listed_with_its_weights_and_their_licence() -> None:
    rows = json.loads(edgecnn("list", "archs", "timm:fastvit_t8.*", "--json").stdout)
    assert rows[-1] == {
        "name": "timm:fastvit_t8.apple_in1k",
        "resolution_px": 256,
        "least_px": 32,
        "classes": 1000,
        "weights": "https://huggingface.co/timm/fastvit_t8.apple_in1k",
        "licence": "fastvit-license",
    }
    assert json.loads(edgecnn("list", "archs", "timm:FastViT_t8", "--json").stdout)[-1] == rows[-1], "without the tag, too"
    assert "'timm:nothing*' is not a known network" in edgecnn("list", "archs", "timm:nothing*").stderr


def test_a_word_without_a_wildcard_lists_the_networks_that_contain_it() -> None:
    rows = json.loads(edgecnn("list", "archs", "mobilenet-v3", "--json").stdout)
    assert {row["name"] for row in rows} >= {"mobilenet-v3-small", "mobilenet-v3-large"}
    assert all("mobilenet-v3" in row["name"] for row in rows)


def test_a_device_is_listed_by_its_alias() -> None:
    (row,) = json.loads(edgecnn("list", "devices", "pi5", "--json").stdout)
    assert row["name"] == "raspberry-pi-5"


PI = ("list", "archs", "mobilenet-v*", "--target", "raspberry-pi-5")


def test_networks_for_a_device_come_by_accuracy_with_a_marked_forecast() -> None:
    done = edgecnn(*PI, "--within", "images_per_s=20", "--within", "size_mib=10", "--json")
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads((ROOT / "docs" / "schemas" / "networks-for.json").read_text()))
    assert document["within"] == {"p50_ms": 50.0, "size_mib": 10.0}
    assert (document["stated"], document["classes"]) == ({"images_per_s": 20.0, "size_mib": 10.0}, 1000)
    (pi,) = document["devices"]
    rows = pi["networks"]
    assert [row["accuracy_top1"] for row in rows] == sorted((row["accuracy_top1"] for row in rows), reverse=True)
    assert all(row["forecast"]["fidelity"] == "predicted" for row in rows)
    assert all(row["size_mib"] <= 10 for row in rows if row["fits"] != "no")
    shown = edgecnn(*PI, "--within", "images_per_s=20", "--within", "size_mib=10", "--all").stdout
    assert shown.count("\u25b2") >= sum(row["fits"] != "no" for row in rows)
    assert "does not count towards any gate" in shown
    assert "p50" not in shown, "the budget was stated in images per second"


def test_one_network_comes_first_and_the_others_behind_an_option() -> None:
    words = (*PI, "--within", "images_per_s=20", "--resolution", "160")
    short, long = (edgecnn(*words, *more).stdout.replace("│", " ") for more in ((), ("--all",)))
    (pi,) = json.loads(edgecnn(*words, "--json").stdout)["devices"]
    first = short.splitlines()[0]
    assert pi["recommended"] in first and "ncnn-fp16" in first
    others = {row["name"] for row in pi["networks"] if row["fits"] != "no"} - {pi["recommended"], pi["more_accurate"]}
    assert others and not any(name in short.split() for name in others) and all(name in long.split() for name in others)
    assert "--set model.resolution_px=160" in short and "--min images_per_s=20" in short


def test_a_device_without_any_public_table_lists_nothing_and_says_why() -> None:
    (device,) = json.loads(edgecnn("list", "archs", "resnet-18", "--target", "browser", "--json").stdout)["devices"]
    assert device["networks"] == []
    assert next(iter(device["without_forecast"])).startswith("no public table has browser")


@pytest.mark.parametrize(
    ("arguments", "reference"),
    [
        (("archs", "--within", "p50_ms=50"), "list-without-target"),
        (("archs", "--target", "raspberry-pi-5", "--build", "builds/a"), "build-with-target"),
        (("devices", "--target", "raspberry-pi-5"), "target-of-a-list"),
        (("archs", "--target", "raspberry-pi-5", "--within", "p99_ms=50"), "list-budget-invalid"),
        (("archs", "--target", "raspbery-pi-5"), "unknown-device"),
    ],
)
def test_budgets_of_no_device_and_a_device_of_another_list_are_refused(arguments: tuple[str, ...], reference: str) -> None:
    done = edgecnn("list", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"[{reference}]" in done.stderr


def test_the_plot_of_networks_for_two_devices_is_written(tmp_path: Path) -> None:
    done = edgecnn(*PI, "--target", "raspberry-pi-4", "--plot", str(tmp_path / "n.html"))
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "n.html").read_text("utf-8")
    assert page.count("Published accuracy against predicted latency: raspberry-pi-") >= 2


def test_a_word_without_a_wildcard_lists_the_devices_that_contain_it() -> None:
    rows = json.loads(edgecnn("list", "devices", "raspberry", "--json").stdout)
    assert {row["name"] for row in rows} == {"raspberry-pi-4", "raspberry-pi-5"}
    rows = json.loads(edgecnn("list", "devices", "graviton", "--json").stdout)
    assert {row["name"] for row in rows} == {"arm64-server", "arm64-server-i8mm"}, "by their aliases"
