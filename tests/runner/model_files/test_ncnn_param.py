"""ncnn allocates and moves memory by the numbers of a ``.param`` file without checking them."""

from __future__ import annotations

from random import Random

import pytest

from edgecnn.runner.model_files import model_fault
from tests.fuzz.mutations import of_bytes

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


def fault(text: str) -> str:
    return model_fault("model.param", text.encode("latin-1"), {"model.bin": WEIGHTS})


def one_layer(line: str) -> str:
    return f"7767517\n2 2\nInput in0 0 1 in0\n{line}\n"


@pytest.mark.parametrize("text", [NETWORK, NETWORK.replace("\n", "\r\n"), NETWORK.rstrip("\n")])
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
        ("Permute p 1 1 in0 out0 0=1 Padding", "Padding="),
        ("ReLU r 1 1 in0 a 0=0.1 Padding p 1 1 a out0 0=-3", "Padding="),
        ("ReLU r 1 1 in0 out0 0=0.1000000000000000000001", "0=0.1000000000000000000001"),
    ],
)  # fmt: skip
def test_a_number_that_ncnn_would_write_outside_its_memory_by_is_refused(line: str, setting: str) -> None:
    assert fault(one_layer(line)) == f"a layer {line.split()[0]} of it has the setting '{setting}'"


@pytest.mark.parametrize(
    "text, because",
    [
        (one_layer("DetectionOutput d 1 1 in0 out0"), "it has a layer that image classifiers do not need, 'DetectionOutput'"),
        (one_layer("Padding p 1 1 in0 out0\n0=-3"), "it is no network of ncnn"),
        (
            one_layer("Padding\np 1 1 in0 out0 0=-3").replace("2 2", "3 2"),
            "a layer Padding of it is not written as ncnn writes one",
        ),
        (one_layer("ReLU r one 1 in0 out0"), "a layer ReLU of it is not written as ncnn writes one"),
        (one_layer(f"ReLU {'r' * 256} 1 1 in0 out0"), "a layer ReLU of it is not written as ncnn writes one"),
        (one_layer("ReLU r\x1c0=1 1 1 in0 out0"), "it is no network of ncnn"),
        (one_layer("ReLU r 1 1 in0 \x80"), "it is no network of ncnn"),
        (one_layer("Padding p 1 1 in0 out0").replace("2 2", "1 2"), "it is no network of ncnn"),
    ],
)
def test_a_file_that_ncnn_reads_in_another_way_is_refused(text: str, because: str) -> None:
    assert fault(text) == because


def test_changed_files_are_refused_or_read_and_never_end_otherwise() -> None:
    faults = {fault(of_bytes(NETWORK.encode(), Random(number)).decode("latin-1")) for number in range(1000)}
    assert {"", "it is no network of ncnn"} < faults
    assert all("\n" not in each and len(each) < 300 for each in faults)
