"""What each CPU backend offers follows from a device's instructions, and what it refuses has a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from edgecnn.planning.candidates import ORIGINAL
from edgecnn.runner.packages import DISTRIBUTIONS, runtime_of
from edgecnn.runner.session_options import OPTIONS
from edgecnn.runtimes.onnxruntime import exact_products
from edgecnn.runtimes.protocol import Backend
from edgecnn.runtimes.registry import all_backends, backend_for, every_backend, offers, saturates_on
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Unsupported
from edgecnn.values.device import Device, Match, Processor, RuntimeFacts, Support
from edgecnn.values.profile import Environment

NATIVE: Mapping[Precision, Support] = dict.fromkeys(Precision, "native")


def device(
    architecture: str,
    *isa: str,
    opset: int = 21,
    ir: int = 10,
    precisions: Mapping[Precision, Support] = NATIVE,
    runtimes: Sequence[Runtime] = (Runtime.ONNXRUNTIME, Runtime.OPENVINO),
) -> Device:
    facts = RuntimeFacts(
        versions=">=1.19", python=">=3.11", onnx_opset_max=opset, onnx_ir_max=ir, precisions=precisions, source="its page"
    )
    return Device(
        name="board",
        title="A board",
        usually_attached=False,
        match=Match(),
        processor=Processor.model_validate({"architecture": architecture, "model": "A core", "isa": isa, "source": "its page"}),
        runtimes=dict.fromkeys(runtimes, facts),
    )


def offered(runtime: Runtime, on: Device) -> dict[str, Candidate]:
    return {offer.id: offer for offer in offers(runtime, on) if isinstance(offer, Candidate)}


def refused(runtime: Runtime, on: Device) -> dict[Precision, str]:
    return {offer.precision: offer.why for offer in offers(runtime, on) if isinstance(offer, Unsupported)}


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
@pytest.mark.parametrize(
    ("on", "reduced"),
    [
        (device("x86_64", "avx2"), True),
        (device("x86_64", "avx512f", "avx512bw"), True),
        (device("x86_64", "avx512_vnni"), False),
        (device("x86_64", "avx_vnni"), False),
        (device("aarch64"), False),
        (device("aarch64", "asimddp"), False),
        (device("any"), True),
    ],
    ids=["avx2", "avx512 without vnni", "avx512_vnni", "avx_vnni", "cortex-a72", "cortex-a76", "nothing stated"],
)
def test_weights_keep_to_seven_bits_only_where_sums_would_saturate(runtime: Runtime, on: Device, reduced: bool) -> None:
    if (runtime, on.processor.architecture) == (Runtime.OPENVINO, "aarch64"):
        return  # it has no INT8 there
    scheme = offered(runtime, on)[f"{runtime.value}-int8"].scheme
    assert scheme is not None
    assert scheme.reduced_range is reduced
    if runtime is Runtime.ONNXRUNTIME:  # elsewhere than on such a processor the building machine must not saturate either
        exact = offered(runtime, on)["onnxruntime-int8"].session_options.get("session.x64quantprecision")
        assert exact == (None if reduced else "1")
    assert (scheme.activation_dtype, scheme.weight_granularity) == ("uint8", "per-channel")
    assert scheme.activation_symmetric is (runtime is Runtime.OPENVINO)


VNNI, AVX2, CORTEX = device("x86_64", "avx512_vnni"), device("x86_64", "avx2"), device("aarch64", "asimddp")


def answering(machine: Device) -> Environment:
    observed = {"architecture": machine.processor.architecture}
    return Environment(conditions={"isa": " ".join(machine.processor.isa)}, observed=observed)


@pytest.mark.parametrize(
    ("runtime", "on", "there", "text"),
    [
        (Runtime.OPENVINO, VNNI, AVX2, "answering machine"),
        (Runtime.OPENVINO, VNNI, VNNI, None),
        (Runtime.OPENVINO, AVX2, VNNI, None),  # weights of 7 bits saturate nowhere
        (Runtime.OPENVINO, AVX2, AVX2, None),
        (Runtime.OPENVINO, VNNI, CORTEX, None),
        (Runtime.ONNXRUNTIME, VNNI, AVX2, None),  # which is asked for exact sums
        (Runtime.ONNXRUNTIME, CORTEX, AVX2, None),
        (Runtime.ONNXRUNTIME, AVX2, VNNI, None),
    ],
)
def test_int8_is_added_otherwise_only_where_sums_saturate_on_one_side(
    runtime: Runtime, on: Device, there: Device, text: str | None
) -> None:
    assert saturates_on(offered(runtime, on)[f"{runtime.value}-int8"], answering(there)) == text


def test_of_a_processor_of_which_nothing_is_recorded_nothing_is_claimed() -> None:
    int8 = offered(Runtime.OPENVINO, VNNI)["openvino-int8"]
    assert saturates_on(int8, Environment(conditions={}, observed={})) is None
    assert saturates_on(int8, Environment(conditions={}, observed={"architecture": "x86_64"})) == "answering machine"


@pytest.mark.parametrize(("on", "text"), [(AVX2, "device"), (VNNI, None), (CORTEX, None)])
def test_a_file_that_came_quantized_keeps_8_bits_and_saturates_where_its_device_does(on: Device, text: str | None) -> None:
    original = ORIGINAL.model_copy(update={"session_options": exact_products(on.processor)})
    assert saturates_on(original, answering(VNNI)) == text
    assert saturates_on(original, answering(AVX2)) is None


@pytest.mark.parametrize("runtime", [runtime for runtime in Runtime if runtime.ships])
def test_every_other_runtime_adds_exactly_and_float_has_no_such_sums(runtime: Runtime) -> None:
    int8 = Candidate(id="x-int8", runtime=runtime, precision=Precision.INT8, method=Method.POST_TRAINING)
    saturating = runtime in (Runtime.ONNXRUNTIME, Runtime.OPENVINO)
    assert backend_for(runtime).sums_saturate(int8, AVX2.processor) is saturating
    assert not backend_for(runtime).sums_saturate(int8.model_copy(update={"precision": Precision.FP32}), AVX2.processor)


def test_onnxruntime_offers_no_half_precision_and_says_why() -> None:
    on = device("x86_64", "avx512_vnni", "avx512_bf16")
    assert set(offered(Runtime.ONNXRUNTIME, on)) == {"onnxruntime-fp32", "onnxruntime-int8"}
    assert refused(Runtime.ONNXRUNTIME, on) == {
        Precision.FP16: "the CPU provider runs an fp16 model in fp32 with casts: the file is smaller, the arithmetic is the same",
        Precision.BF16: "the CPU provider has no bf16 convolution",
    }


def test_half_precision_is_offered_on_arm_that_multiplies_it() -> None:
    for flags, multiplies in ((("asimddp", "asimdhp"), True), (("asimddp",), False)):
        on = device("aarch64", *flags)
        assert ("onnxruntime-fp16" in offered(Runtime.ONNXRUNTIME, on)) is multiplies
        assert ("openvino-fp16" in offered(Runtime.OPENVINO, on)) is multiplies
    ruled_out = device("aarch64", "asimdhp", precisions={**NATIVE, Precision.FP16: "none"})
    for runtime in (Runtime.ONNXRUNTIME, Runtime.OPENVINO):
        assert refused(runtime, ruled_out)[Precision.FP16] == "the device's file does not list fp16"


def test_openvino_offers_no_int8_on_arm_where_most_of_it_would_run_in_fp32() -> None:
    assert "openvino-int8" not in offered(Runtime.OPENVINO, device("aarch64", "asimddp", "asimdhp"))
    assert "in fp32: 17 of 20 convolutions" in refused(Runtime.OPENVINO, device("aarch64"))[Precision.INT8]


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_openvino_offers_bf16_where_the_processor_multiplies_it(flag: str) -> None:
    on = device("x86_64", "avx512_vnni", flag)
    assert offered(Runtime.OPENVINO, on)["openvino-bf16"].session_options == {"INFERENCE_PRECISION_HINT": "bf16"}
    assert offered(Runtime.OPENVINO, on)["openvino-int8"].session_options == {"INFERENCE_PRECISION_HINT": "bf16"}


def test_openvino_refuses_bf16_where_it_would_be_rounded_fp32() -> None:
    on = device("x86_64", "avx512_vnni")
    assert set(offered(Runtime.OPENVINO, on)) == {"openvino-fp32", "openvino-int8"}
    assert refused(Runtime.OPENVINO, on)[Precision.BF16] == (
        "A core (avx512_vnni) has no bf16 products (avx512_bf16 or amx_bf16): bf16 would be rounded fp32"
    )
    assert offered(Runtime.OPENVINO, on)["openvino-int8"].session_options == {"INFERENCE_PRECISION_HINT": "f32"}


def test_openvino_never_leaves_the_float_precision_to_the_processor() -> None:
    for on in (device("x86_64", "avx512_vnni", "amx_bf16"), device("aarch64", "asimddp", "asimdhp")):
        for candidate in offered(Runtime.OPENVINO, on).values():
            beside_int8 = "bf16" if "amx_bf16" in on.processor.isa else "f32"
            hints = {Precision.FP32: "f32", Precision.FP16: "f16", Precision.BF16: "bf16", Precision.INT8: beside_int8}
            assert candidate.session_options["INFERENCE_PRECISION_HINT"] == hints[candidate.precision]


@pytest.mark.parametrize(
    ("old", "why"),
    [
        (device("aarch64", opset=17), "onnxruntime >=1.19 reads ONNX up to opset 17, but the model has opset 20"),
        (device("aarch64", ir=9), "onnxruntime >=1.19 reads ONNX up to IR 9, but the model has IR 10"),
    ],
)
def test_a_device_whose_onnxruntime_cannot_read_the_trunk_gets_nothing_but_the_reason(old: Device, why: str) -> None:
    assert offered(Runtime.ONNXRUNTIME, old) == {}
    assert set(refused(Runtime.ONNXRUNTIME, old).values()) == {why}


def test_a_devices_file_can_rule_int8_out() -> None:
    runtimes = (Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.LITERT, Runtime.WASM)
    on = device("x86_64", "avx512_vnni", precisions={**NATIVE, Precision.INT8: "none"}, runtimes=runtimes)
    for runtime in runtimes:
        assert refused(runtime, on)[Precision.INT8] == "the device's file does not list int8"


@pytest.mark.parametrize("runtime", [runtime for runtime in Runtime if runtime.ships])
def test_a_device_s_file_can_rule_any_precision_out_of_any_runtime(runtime: Runtime) -> None:
    nothing = device("aarch64", "asimddp", "asimdhp", precisions=dict.fromkeys(NATIVE, "none"), runtimes=[runtime])
    assert offered(runtime, nothing) == {}


def test_a_runtime_that_the_device_does_not_name_offers_nothing() -> None:
    bare = device("x86_64").model_copy(update={"runtimes": {}})
    assert [backend.supports(bare) for backend in all_backends()] == [()] * len(all_backends())


def test_every_runtime_that_ships_has_a_module_of_its_name() -> None:
    import edgecnn.runtimes

    modules = {path.stem for path in Path(edgecnn.runtimes.__path__[0]).glob("*.py")}
    shipped = [runtime for runtime in Runtime if runtime.ships]
    assert {runtime.value for runtime in shipped} <= modules
    assert [backend.runtime for backend in all_backends()] == shipped


@pytest.mark.parametrize("backend", every_backend(), ids=lambda backend: backend.runtime.value)
def test_the_runners_own_tables_agree_with_the_registry(backend: Backend) -> None:
    """The runner travels alone, so it cannot read the registry."""
    assert runtime_of(backend.session_module) == backend.runtime.value
    assert backend.fp32_options.keys() <= OPTIONS[backend.session_module].keys()
    assert list(backend.runtime_packages) == [DISTRIBUTIONS[backend.runtime.value][0]]


def test_each_runtime_has_a_line_of_its_own() -> None:
    lines = [backend.line for backend in every_backend()]
    assert len({line.dashes for line in lines}) == len({line.word for line in lines}) == len(lines)
