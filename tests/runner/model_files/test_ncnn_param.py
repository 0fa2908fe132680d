"""ncnn allocates and moves memory by the numbers of a ``.param`` file without checking them."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest

from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.model_files import check_model, model_fault
from tests.fuzz.mutations import of_bytes
from tests.runner.conftest import CopyKit
from tests.runner.kits import rewrite_manifest

WEIGHTS = 4000
NETWORK = """7767517
9 11
Input in0 0 1 in0
Convolution conv_0 1 1 in0 1 0=10 1=3 4=-233 5=1 6=270 9=6 -23310=2,1.666667e-01,5.000000e-01
ConvolutionDepthWise conv_1 1 1 1 2 0=10 1=3 3=2 4=1 5=1 6=90 7=10
HardSwish act_2 1 1 2 3 0=1.666667e-01 1=5.000000e-01
Slice halves 1 2 3 4 5 -23300=2,-233,-233 1=0
Concat cat_3 2 1 4 5 6 0=-1
Reduction mean 1 1 6 7 0=3 1=0 -23303=2,-2,-1 4=0 5=1
Reshape flat 1 1 7 8 0=-1 6="0w,1h,1c"
InnerProduct last 1 1 8 out0 0=4 1=1 2=40
"""


NORMED = """7767517
8 9
Input in0 0 1 in0
Convolution conv 1 1 in0 1 0=8 1=3 4=1 6=216
GroupNorm group 1 1 1 2 0=4 1=8
PReLU prelu 1 1 2 3 0=8
Split both 1 2 3 4 5
Concat cat 2 1 4 5 6 0=0
BatchNorm batch 1 1 6 7 0=16
Pooling pool 1 1 7 out0 0=1 4=1
"""


SHIFTED = """7767517
3 3
Input in 0 1
Crop Padding 1 1 1 Crop 0=0 0=-4 1=-4 2=0 3=0
Noop c 1 1 0=0 out
"""
"""To ncnn, a Padding by -4: it takes the missing name of an output from the next line."""


def fault(text: str) -> str:
    return model_fault("model.param", text.encode("latin-1"), {"model.bin": WEIGHTS})


def one_layer(line: str) -> str:
    return f"7767517\n2 4\nInput in0 0 1 in0\n{line}\n"


@pytest.mark.parametrize("text", [NETWORK, NETWORK.replace("\n", "\r\n"), NETWORK.rstrip("\n"), NORMED])
def test_a_network_as_pnnx_writes_it_has_no_fault(text: str) -> None:
    assert fault(text) == ""


@pytest.mark.parametrize(
    "line, setting",
    [
        ("Padding p 1 1 in0 out0 0=-3 1=0 2=-3 3=0", "0=-3"),
        ("Pooling p 1 1 in0 out0 0=0 1=2 2=2 3=-3", "3=-3"),
        ("Pooling p 1 1 in0 out0 0=0 1=2 2=2 3=-233", "3=-233"),
        ("Pooling p 1 1 in0 out0 0=0 1=2 2=2 3=-1.0", "3=-1.0"),
        ("Convolution c 1 1 in0 out0 0=10 1=3 4=2 14=-20 6=270", "14=-20"),
        ("ConvolutionDepthWise c 1 1 in0 out0 0=3 1=3 4=-10 15=20 6=27 7=3", "4=-10"),
        ("Deconvolution c 1 1 in0 out0 0=10 1=-3 6=270", "1=-3"),
        ("Reshape r 1 1 in0 out0 0=-5 1=3", "0=-5"),
        ("Concat c 1 1 in0 out0 0=-9", "0=-9"),
        ("LRN l 1 1 in0 out0 0=0 1=-9", "1=-9"),
        ("Interp i 1 1 in0 out0 0=1 3=4294967297", "3=4294967297"),
        ("Interp i 1 1 in0 out0 0=1 3=1_0", "3=1_0"),
        ("Concat c 1 1 in0 out0 0=1,-9", "0=1,-9"),
        ("Slice s 1 1 in0 out0 -23300=3,1,1", "-23300=3,1,1"),
        ("Permute p 1 1 in0 out0 0=\"0w\"", '0="0w"'),
        ('Crop c 1 1 in0 out0 -23309="0w"', '-23309="0w"'),
        ("Permute p 1 1 in0 out0 0=1 Padding", "Padding"),
        ("ReLU r 1 1 in0 a 0=0.1 Padding p 1 1 a out0 0=-3", "Padding"),
        ("ReLU r 1 1 in0 out0 0=-", "0=-"),
        ("Crop c 1 1 in0 out0 -23309=1,-5000 -23310=1,-1 -23311=1,0", "-23309=1,-5000"),
        ("Crop c 1 1 in0 out0 0=-4", "0=-4"),
        ("ReLU r 1 1 in0 out0 -5=1", "-5=1"),
        ("ReLU r 1 1 in0 out0 32=1", "32=1"),
        ("ReLU r 1 1 in0 out0 4294967291=1", "4294967291=1"),
        ("ReLU r 1 1 in0 out0 9999999999=1", "9999999999=1"),
        ("ReLU r 1 1 in0 out0 00=1", "00=1"),
        ("ReLU r 1 1 in0 out0 -99999=1,1", "-99999=1,1"),
        ("ReLU r 1 1 in0 out0 -23332=1,1", "-23332=1,1"),
        ("ReLU r 1 1 in0 out0 -23299=1", "-23299=1"),
        ("Pooling p 1 1 in0 out0 0=0 1=2 0=1", "0=1"),
        ("Pooling p 1 1 in0 out0 0=0 1=2 -23301=1,2", "-23301=1,2"),
        ("ReLU r 1 1 in0 out0 -23330=3,3,8,8", "-23330=3,3,8,8"),
        ("Slice s 1 3 in0 a b out0 -23300=2,1,-233", "-23300=2,1,-233"),
        ("Slice s 1 3 in0 a b out0 -23302=1,1", "-23302=1,1"),
        ("ReLU r 1 1 in0 out0 0=0.1000000000000000000001", "0=0.1000000000000000000001"),
    ],
)  # fmt: skip
def test_a_number_that_ncnn_would_write_outside_its_memory_by_is_refused(line: str, setting: str) -> None:
    assert fault(one_layer(line)) == f"layer {line.split()[0]} has the invalid setting {setting}"


@pytest.mark.parametrize(
    "line, setting",
    [
        ("Padding p 1 1 in0 out0 0=9000 1=9000 2=9000 3=9000", "0=9000"),
        ("Padding p 1 1 in0 out0 7=9000", "7=9000"),
        ("Interp i 1 1 in0 out0 0=2 3=9000 4=9000", "3=9000"),
        ("Interp i 1 1 in0 out0 0=2 1=1e9 2=1e9", "1=1e9"),
        ("Interp i 1 1 in0 out0 0=2 1=-9", "1=-9"),
        ('Interp i 1 1 in0 out0 0=2 9="99999,99999"', '9="99999,99999"'),
        ("Pooling p 1 1 in0 out0 0=1 1=2 2=2 3=8000", "3=8000"),
        ("Pooling p 1 1 in0 out0 0=0 7=1 8=5000 18=1", "8=5000"),
        ("Convolution c 1 1 in0 out0 0=10 1=3 4=1000 6=270", "4=1000"),
        ("Convolution c 1 1 in0 out0 0=10 1=3 2=3000 6=270", "2=3000"),
        ("Convolution c 1 1 in0 out0 0=10 1=3000 6=270", "1=3000"),
        ("ConvolutionDepthWise c 1 1 in0 out0 0=3 1=3 6=27 7=3 15=1000", "15=1000"),
        ("Deconvolution c 1 1 in0 out0 0=10 1=3 6=270 18=2000", "18=2000"),
        ("Deconvolution c 1 1 in0 out0 0=10 1=3 6=270 18=1e9", "18=1e9"),
        ("Deconvolution c 1 1 in0 out0 0=10 1=3 6=270 3=2000", "3=2000"),
        ("Tile t 1 1 in0 out0 -23302=3,100,100,100", "-23302=3,100,100,100"),
        ("Tile t 1 1 in0 out0 0=0 1=1000", "1=1000"),
        ("PixelShuffle p 1 1 in0 out0 0=1000", "0=1000"),
    ],
)
def test_a_size_beyond_every_image_classifier_is_refused(line: str, setting: str) -> None:
    assert fault(one_layer(line)) == f"layer {line.split()[0]} has the invalid setting {setting}"


def fault_after_convolution(*lines: str, channels: int = 3) -> str:
    layers = ["Input in0 0 1 in0", f"Convolution c1 1 1 in0 c1 0={channels} 1=1 6={3 * channels}", *lines]
    return fault("\n".join(["7767517", f"{len(layers)} 9", *layers]))


@pytest.mark.parametrize(
    "lines, because",
    [
        (["GroupNorm n c1 0=1 1=9000"], "layer GroupNorm is of 9000 channels, and its input has 3"),
        (["GroupNorm n c1 0=1 1=9000 3=0"], "layer GroupNorm is of 9000 channels, and its input has 3"),
        (["GroupNorm n c1"], "layer GroupNorm is of 0 channels, and its input has 3"),
        (["GroupNorm n c1 0=2 1=3"], "layer GroupNorm has 2 groups of 3 channels"),
        (["GroupNorm n c1 0=0 1=3"], "layer GroupNorm has 0 groups of 3 channels"),
        (["GroupNorm n in0 0=1 1=3"], "the channels that layer GroupNorm reads are not known"),
        (["BatchNorm n c1 0=4"], "layer BatchNorm is of 4 channels, and its input has 3"),
        (["Scale n c1 0=4"], "layer Scale is of 4 channels, and its input has 3"),
        (["Bias n c1 0=4"], "layer Bias is of 4 channels, and its input has 3"),
        (["PReLU n c1 0=2"], "layer PReLU is of 2 channels, and its input has 3"),
        (["InstanceNorm n c1 0=4"], "layer InstanceNorm is of 4 channels, and its input has 3"),
        (["ReLU r c1", "Pooling p r 1=2 2=2", "GroupNorm n p 1=4"], "layer GroupNorm is of 4 channels, and its input has 3"),
        (["Pooling p c1 4=1", "GroupNorm n p 1=3"], "the channels that layer GroupNorm reads are not known"),
        (["Pooling p c1 4=1", "Convolution c p 0=40 1=1 6=120", "GroupNorm n c 1=40"],
         "the channels that layer GroupNorm reads are not known"),
        (["Padding p c1 7=1", "GroupNorm n p 1=3"], "the channels that layer GroupNorm reads are not known"),
        (["Slice s c1 -23300=1,2 1=0", "GroupNorm n s 1=3"], "the channels that layer GroupNorm reads are not known"),
        (["Convolution c c1 0=3 1=1 6=9 19=1", "GroupNorm n c 1=3"], "the channels that layer GroupNorm reads are not known"),
        (["Split s c1", "Concat c s,c1 0=0", "GroupNorm n c 1=3"], "layer GroupNorm is of 3 channels, and its input has 6"),
        (["Convolution c c1 0=6 1=1 6=18", "BinaryOp b c,c1 0=0", "GroupNorm n b 1=6"],
         "the channels that layer GroupNorm reads are not known"),
        (["Convolution c1 in0 0=40 1=1 6=120"], "layer Convolution writes 'c1', which is the name of another tensor"),
        (["Reshape r c1 0=3", "GroupNorm n r 1=3"], "the channels that layer GroupNorm reads are not known"),
    ],
)  # fmt: skip
def test_a_layer_of_other_channels_than_its_input_is_refused(lines: list[str], because: str) -> None:
    assert fault_after_convolution(*map(layer_line, lines)) == because


def layer_line(short: str) -> str:
    """A layer with one output of the same name, from ``Kind name input,input settings``."""
    kind, name, inputs, *settings = short.split()
    return " ".join([kind, f"layer_{name}", str(inputs.count(",") + 1), "1", *inputs.split(","), name, *settings])


@pytest.mark.parametrize(
    "lines",
    [
        ["GroupNorm n c1 0=1 1=3", "GroupNorm m n 0=3 1=3 3=0"],
        ["ReLU r c1", "Padding p r 0=1 1=1", "Pooling q p 1=2 2=2", "Interp i q 0=2 1=2.0 2=2.0", "GroupNorm n i 1=3"],
        ["Split s c1", "BinaryOp b s,c1 0=0", "GroupNorm n b 1=3", "Concat c n,b,c1 0=0", "BatchNorm m c 0=9"],
        ["Pooling p c1 4=1", "BatchNorm n p 0=9"],
        ["PReLU n c1 0=1", "Scale s n 0=3", "InstanceNorm i s 0=0 2=0", "InstanceNorm j i 0=3"],
        ["MemoryData d in0 0=1 1=1 2=3", "BinaryOp b c1,d 0=2", "GroupNorm n b 1=3"],
        ["Convolution c c1 0=8 1=7 4=3 11=7 14=3 2=1 3=2 6=1176", "BatchNorm n c 0=8"],
    ],
)
def test_layers_of_the_channels_of_their_inputs_have_no_fault(lines: list[str]) -> None:
    assert fault_after_convolution(*(layer_line(line).replace("1 1 in0 d", "0 1 d") for line in lines)) == ""


def test_the_output_of_a_layer_cannot_be_the_tensor_that_is_fed() -> None:
    line = "Convolution c 1 1 image in0 0=3 1=1 6=9"
    assert fault(one_layer(line).replace("Input in0 0 1 in0", "Input in0 0 1 image")) == (
        "layer Convolution writes 'in0', which is the name of another tensor"
    )


@pytest.mark.parametrize("name, because", [("in0", None), ("c1", "the kit feeds 'c1', not in0")])
def test_the_runner_feeds_no_tensor_but_the_input(copy_kit: CopyKit, name: str, because: str | None) -> None:
    folder = copy_kit()
    (folder / "model.onnx").unlink()
    (folder / "model.param").write_text(NETWORK.replace("Input in0", "Input in"))
    (folder / "model.bin").write_bytes(bytes(WEIGHTS))

    def described(facts: dict[str, Any]) -> None:
        facts["session"] = {"module": "ncnn_cpu", "options": {}}
        facts["model"].update(entry="model.param", files=["model.bin", "model.param"])
        facts["model"]["input"]["name"] = name

    rewrite_manifest(folder, described)
    if because is None:
        return check_model(Kit.open(folder))
    with pytest.raises(RunnerError) as caught:
        check_model(Kit.open(folder))
    assert (caught.value.ref, caught.value.because) == ("model-refused", because)
    return None


@pytest.mark.parametrize(
    "text, because",
    [
        (one_layer("DetectionOutput d 1 1 in0 out0"), "it has a layer that image classifiers do not need, 'DetectionOutput'"),
        (one_layer("Padding p 1 1 in0 out0\n0=-3"), "it is not an ncnn network"),
        (
            one_layer("Padding\np 1 1 in0 out0 0=-3").replace("2 4", "3 4"),
            "the line of layer Padding is malformed",
        ),
        (one_layer("ReLU r one 1 in0 out0"), "the line of layer ReLU is malformed"),
        (one_layer(f"ReLU {'r' * 256} 1 1 in0 out0"), "the line of layer ReLU is malformed"),
        (SHIFTED, "the line of layer Input is malformed"),
        (SHIFTED.replace("0 1\n", "0 1 1\n"), "layer Crop has the invalid setting 0=-4"),
        (one_layer("Noop Embed 1 1 1 Noop 0=0 0=100 1=400"), "layer Noop reads '1', which no layer before it writes"),
        (one_layer("Noop n 1 1 in0 0=0"), "the line of layer Noop is malformed"),
        (one_layer("Noop 0=0 1 1 in0 out0"), "the line of layer Noop is malformed"),
        (one_layer("Noop n 1 1 in0"), "the line of layer Noop is malformed"),
        (one_layer("Noop n 2 1 in0 out0"), "the line of layer Noop is malformed"),
        (one_layer("ReLU r\x1c0=1 1 1 in0 out0"), "it is not an ncnn network"),
        (one_layer("ReLU r 1 1 in0 \x80"), "it is not an ncnn network"),
        (one_layer("Padding p 1 1 in0 out0").replace("2 4", "1 4"), "it is not an ncnn network"),
    ],
)
def test_a_file_that_ncnn_reads_in_another_way_is_refused(text: str, because: str) -> None:
    assert fault(text) == because


@pytest.mark.parametrize(
    "text, because",
    [
        (one_layer("ReLU r 1 1 in0 out0").replace("2 4", "2 1"), "it has more outputs than its second line says"),
        (one_layer("ReLU r 1 1 in0 out0").replace("2 4", "2 1_0"), "it is not an ncnn network"),
        (one_layer("ReLU r 1 1 in9 out0"), "layer ReLU reads 'in9', which no layer before it writes"),
        (one_layer("ReLU r 1 1 out0 out0"), "layer ReLU reads 'out0', which no layer before it writes"),
        (one_layer("ReLU r 0 1 out0"), "layer ReLU has 0 inputs and 1 outputs"),
        (one_layer("ReLU r 1 0 in0"), "layer ReLU has 1 inputs and 0 outputs"),
        (one_layer("BinaryOp b 1 1 in0 out0 0=0"), "layer BinaryOp has 1 inputs and 1 outputs"),
        (one_layer("BinaryOp b 1 1 in0 out0 0=0 1=1 2=5.0"), ""),
        (one_layer("MatMul m 1 1 in0 out0"), "layer MatMul has 1 inputs and 1 outputs"),
    ],
)
def test_a_layer_that_ncnn_would_connect_outside_its_lists_is_refused(text: str, because: str) -> None:
    assert fault(text) == because


@pytest.mark.parametrize("ends", ["-23309=1,0 -23310=1,-8", "-23309=1,-200 -23310=1,-233"])
def test_a_slice_that_counts_from_the_end_is_no_fault(ends: str) -> None:
    assert fault(one_layer(f"Crop c 1 1 in0 out0 {ends} -23311=1,2")) == ""


def test_a_file_of_endless_layers_is_refused_without_reading_them() -> None:
    assert fault(one_layer("Noop n 1 1 in0 out0\n" * 200000)) == "it is longer than the network of any image classifier"


Layer = tuple[str, str, tuple[str, ...], tuple[str, ...], dict[str, str]]


def read_by_line(text: str) -> list[Layer]:
    layers: list[Layer] = []
    for line in text.strip().splitlines()[2:]:
        kind, name, inputs, outputs, *words = line.split()
        first, last = int(inputs), int(inputs) + int(outputs)
        settings = dict(word.split("=") for word in words[last:])
        layers.append((kind, name, tuple(words[:first]), tuple(words[first:last]), settings))
    return layers


def read_by_word(text: str) -> list[Layer]:
    """Read as ncnn does (src/net.cpp, src/paramdict.cpp): a line's end is only a space.

    Raises an IndexError where ncnn would read or write outside its lists.
    """
    words = text.split()[::-1]
    _, count, blobs = int(words.pop()), int(words.pop()), [""] * int(words.pop())
    layers, written = [], 0
    for _ in range(count):
        kind, name, inputs, outputs = words.pop(), words.pop(), int(words.pop()), int(words.pop())
        bottoms, tops = [words.pop() for _ in range(inputs)], [words.pop() for _ in range(outputs)]
        settings: dict[str, str] = {}
        while words and (match := re.match(r"([-+]?[0-9]+)=(.*)", words[-1])):
            key = (int(match[1]) + 2**31) % 2**32 - 2**31
            if not 0 <= (-key - 23300 if key <= -23300 else key) < 32:
                raise IndexError(words[-1])
            settings[match[1]] = match[2]
            words.pop()
        for bottom in bottoms:
            if bottom not in blobs[:written]:
                raise IndexError(bottom)
        for top in tops:
            blobs[written] = top
            written += 1
        layers.append((kind, name, tuple(bottoms), tuple(tops), settings))
    assert words == []
    return layers


def exchange_words(draw: Random) -> str:
    """Exchange words for others of the file, or remove, repeat or add words."""
    text = NETWORK
    for _ in range(draw.randint(1, 3)):
        words = re.split(r"(\s+)", text)
        at = 2 * draw.randrange(2, len(words) // 2)
        other = draw.choice((words[2 * draw.randrange(len(words) // 2)], "", "0=0", "Noop", "1", "-5=1", "32=1", "\n", "3"))
        words[at] = draw.choice((other, f"{words[at]} {other}", f"{words[at]}\n{other}"))
        text = "".join(words)
    return text


def test_a_file_without_a_fault_is_read_word_by_word_as_it_is_line_by_line() -> None:
    passed = 0
    for number in range(4000):
        text = exchange_words(Random(number))
        if fault(text) == "":
            assert read_by_word(text) == read_by_line(text), text
            passed += 1
    assert passed > 100


def test_changed_files_are_refused_or_read_and_never_end_otherwise() -> None:
    faults = {fault(of_bytes(NETWORK.encode(), Random(number)).decode("latin-1")) for number in range(1000)}
    assert {"", "it is not an ncnn network"} < faults
    assert all("\n" not in line and len(line) < 300 for line in faults)
