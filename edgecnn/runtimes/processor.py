"""Facts that follow from the instructions and cores in a device's file."""

from __future__ import annotations

from collections.abc import Iterable

from edgecnn.values.candidate import DEFAULT, Candidate, Knobs, Precision
from edgecnn.values.device import Device, Processor

_EXACT_BYTE_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""x86 instructions that add four u8×s8 products in 32 bits. Without them, ``vpmaddubsw`` adds two products in 16 bits and
saturates: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, PMADDUBSW and VPDPBUSD."""
_BF16_PRODUCTS = frozenset({"avx512_bf16", "amx_bf16"})


def byte_products_saturate(processor: Processor) -> bool:
    """Return whether weights must have 7 bits, because sums of 8-bit products saturate silently.

    aarch64 is exact with or without ``asimddp``: without it, sums are widened in steps, which is slower. The worst is assumed of
    a processor without stated architecture and instructions.
    """
    if processor.architecture == "aarch64":
        return False
    return not _EXACT_BYTE_PRODUCTS.intersection(processor.isa)


def has_full_range(candidate: Candidate) -> bool:
    """Return whether a candidate is INT8 with weights of 8 bits, so that sums of u8×s8 products can exceed 16 bits."""
    return candidate.precision is Precision.INT8 and not (candidate.scheme is not None and candidate.scheme.reduced_range)


def multiplies_bf16(isa: Iterable[str]) -> bool:
    """Return whether the hardware multiplies bf16; otherwise bf16 would be rounded fp32."""
    return bool(_BF16_PRODUCTS.intersection(isa))


def multiplies_halves(processor: Processor) -> bool:
    """Return whether the hardware multiplies fp16: ``asimdhp`` of 64-bit Arm 8.2, which Cortex-A76 has and Cortex-A72 lacks."""
    return "asimdhp" in processor.isa


def arm_halves(processor: Processor) -> bool:
    """Return whether ONNX Runtime's and OpenVINO's CPU kernels compute in fp16: on 64-bit Arm with ``asimdhp``.

    Verified with a ResNet-18 on a Cortex-A76 emulated by QEMU: all layers that multiply, in ONNX Runtime 1.32 (NhwcFusedConv
    between fp16 tensors, Gemm; in 1.19.2 only the convolutions) and in OpenVINO 2026.4.1 (gemm_acl_f16, winograd_acl_f16,
    acl_f16).
    """
    return processor.architecture == "aarch64" and multiplies_halves(processor)


def processor_name(device: Device) -> str:
    """Return the processor's model and its stated instructions, for reasons."""
    return f"{device.processor.model} ({' '.join(device.processor.isa) or 'no instructions stated'})"


def fewer_threads(processor: Processor) -> int | None:
    """Return half the number of cores: one thread for each core with two hardware threads. None for one core or if unknown.

    For small networks, the synchronization of many threads costs more than they save.
    """
    return None if processor.cores is None or processor.cores < 2 else processor.cores // 2


def thread_knobs(processor: Processor) -> tuple[Knobs, ...]:
    """Return the default and, on several cores, fewer threads: the knobs of a runtime without others."""
    fewer = fewer_threads(processor)
    return (DEFAULT,) if fewer is None else (DEFAULT, Knobs(threads=fewer))
