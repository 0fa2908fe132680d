"""Which instructions and cores a device's file promises, and what they decide."""

from __future__ import annotations

from collections.abc import Iterable

from edgecnn.values.candidate import DEFAULT, Candidate, Knobs, Precision
from edgecnn.values.device import Device, Processor

_EXACT_BYTE_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""x86 instructions that add four u8×s8 products in 32 bits. Without them ``vpmaddubsw`` adds two in 16 bits, and saturates:
Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, PMADDUBSW and VPDPBUSD."""
_BF16_PRODUCTS = frozenset({"avx512_bf16", "amx_bf16"})


def byte_products_saturate(processor: Processor) -> bool:
    """True where 8-bit weights must keep to 7 bits, lest sums saturate unseen.

    aarch64 is exact with or without ``asimddp``: without it the sums are widened in steps, which is slower. A processor of which
    neither architecture nor instructions are stated is taken for the worst.
    """
    if processor.architecture == "aarch64":
        return False
    return not _EXACT_BYTE_PRODUCTS.intersection(processor.isa)


def has_full_range(candidate: Candidate) -> bool:
    """True for INT8 whose weights use all 8 bits, so that sums of products of u8 and s8 can exceed 16 bits."""
    return candidate.precision is Precision.INT8 and not (candidate.scheme is not None and candidate.scheme.reduced_range)


def multiplies_bf16(isa: Iterable[str]) -> bool:
    """True where bf16 products exist in hardware; elsewhere bf16 would only be a rounding of fp32."""
    return bool(_BF16_PRODUCTS.intersection(isa))


def multiplies_halves(processor: Processor) -> bool:
    """True where fp16 products exist in hardware: ``asimdhp`` of 64-bit Arm 8.2, which Cortex-A76 has and Cortex-A72 has not."""
    return "asimdhp" in processor.isa


def arm_halves(processor: Processor) -> bool:
    """True where ONNX Runtime's and OpenVINO's CPU kernels compute in fp16: on 64-bit Arm with ``asimdhp``.

    Read on a Cortex-A76 that QEMU plays, of a ResNet-18: all layers that multiply in ONNX Runtime 1.32 (NhwcFusedConv between
    fp16 tensors, Gemm; 1.19.2 the convolutions alone) and in OpenVINO 2026.4.1 (gemm_acl_f16, winograd_acl_f16, acl_f16).
    """
    return processor.architecture == "aarch64" and multiplies_halves(processor)


def names_processor(device: Device) -> str:
    """How reasons call the processor: its model and what its file states of its instructions."""
    return f"{device.processor.model} ({' '.join(device.processor.isa) or 'no instructions stated'})"


def fewer_threads(processor: Processor) -> int | None:
    """Half as many threads as cores: where two of them share a physical one, a thread each. None of one core, or where unknown.

    Small networks have too little work for many threads, whose meeting costs more than they save.
    """
    return None if processor.cores is None or processor.cores < 2 else processor.cores // 2


def thread_knobs(processor: Processor) -> tuple[Knobs, ...]:
    """The default, and fewer threads where there are any: all that a runtime has which takes no other knob."""
    fewer = fewer_threads(processor)
    return (DEFAULT,) if fewer is None else (DEFAULT, Knobs(threads=fewer))
