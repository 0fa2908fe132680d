from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from edgecnn.errors.fit import BudgetInvalid, BudgetTooSmall, CostUnknown, MemoryUnknown, UnknownLayer


def test_an_unknown_layer_is_answered_with_the_nearest() -> None:
    assert UnknownLayer(network="resnet-18", layer="layer1.0.conv9", known=("conv1", "layer1.0.conv2")).line() == (
        "resnet-18 has no layer 'layer1.0.conv9' — did you mean layer1.0.conv2? "
        "`edgecnn study cost resnet-18` lists all 2 [unknown-layer]"
    )


def test_the_beginning_of_a_name_is_answered_with_what_is_in_it() -> None:
    hint = UnknownLayer(network="lenet-5", layer="c3", known=("c1", "c3.parts.0", "c5")).hint
    assert hint == "did you mean c3.parts.0? `edgecnn study cost lenet-5` lists all 3"


def test_a_file_that_leaves_its_sizes_open_is_named() -> None:
    error = CostUnknown(path=Path("a.onnx"), because="it has no input of a fixed size besides the batch")
    assert (
        error.line() == "the cost of a.onnx cannot be counted: it has no input of a fixed size besides the batch [cost-unknown]"
    )


def test_a_text_that_is_no_budget_is_answered_with_three_that_are() -> None:
    assert BudgetInvalid(text="mac=2", because="'mac' is no budget, the nearest is macs").line() == (
        "--within 'mac=2' is no budget: 'mac' is no budget, the nearest is macs — "
        "--within macs=200M,params=4M,memory=64MiB with any of the three [budget-invalid]"
    )


def test_a_budget_under_every_scale_says_what_the_smallest_takes() -> None:
    smallest = SimpleNamespace(parameters=500_000, macs=2_000_000, memory_bytes=3_000_000)
    assert BudgetTooSmall(arch="resnet-18", budgets={"params": 1000}, smallest=smallest).line() == (
        "no scale of resnet-18 on the compound rule is inside params 1,000: the smallest of them has macs 2,000,000, "
        "params 500,000, memory 2,930 KiB — larger budgets, a smaller network with --arch, or one off the rule: "
        "edgecnn study cost resnet-18 --scale depth=0.5,width=0.25 [budget-too-small]"
    )


def test_a_device_without_known_memory_asks_for_it() -> None:
    assert MemoryUnknown(device="arm64-server", within="macs=1G").line() == (
        "the memory of arm64-server is in no device file — state it: --within macs=1G,memory=512MiB [memory-unknown]"
    )
