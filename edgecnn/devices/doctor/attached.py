"""Which GPUs and which known devices this machine has or is. No other machine is asked: builds run for it without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.devices.desktop_gpu import local_gpu
from edgecnn.devices.doctor.facts import DeviceFact, GpuFact, Part, State
from edgecnn.devices.files import build_targets, known_devices
from edgecnn.devices.this_machine import LocalFacts, matches
from edgecnn.errors.base import EdgecnnError
from edgecnn.runner.runtimes import installed_version
from edgecnn.values.device import Device

_NO_GPU = "it takes an NVIDIA GPU with its driver, which `nvidia-smi` then lists; a container needs `--gpus all`"


def gpu_fact(listed: Sequence[str], torch_gpus: Sequence[Mapping[str, Any]], parts: Sequence[Part]) -> GpuFact:
    """The GPUs, and whether anything ran on one.

    Args:
        listed: their names as the driver lists them.
        torch_gpus: ``model`` and ``why`` of each that torch found; ``why`` is None where a training step ran on it.
        parts: for what TensorRT did.
    """
    models = tuple(listed) or tuple(each["model"] for each in torch_gpus)
    if not models:
        found = (
            "the NVIDIA driver lists no GPU, and torch finds none" if _ran(parts, "train") else "the NVIDIA driver lists no GPU"
        )
        return GpuFact(state=State.ABSENT, models=(), found=found, hint=_NO_GPU)
    ran = [f"torch trained a step on {each['model']}" for each in torch_gpus if each["why"] is None]
    ran += ["TensorRT ran the tiny network"] if _ran(parts, "tensorrt") else []
    if ran:
        return GpuFact(state=State.WORKS, models=models, found="; ".join(ran))
    failed = [f"{each['model']}: {each['why']}" for each in torch_gpus]
    train = next(part for part in parts if part.name == "train")
    if not failed and train.state is not State.WORKS:
        found = f"nothing here could try it: {train.found}"
        return GpuFact(state=State.UNTRIED, models=models, found=found, hint=train.addition.command)
    unusable = _unusable(models)
    found = "; ".join(failed) or unusable or "torch finds no GPU that it can use, though the driver lists one"
    return GpuFact(state=State.BROKEN, models=models, found=found, hint="check it with nvidia-smi")


def device_facts(facts: LocalFacts, parts: Sequence[Part], gpu: GpuFact) -> tuple[DeviceFact, ...]:
    """Every known device: the user's files that are none, their own devices, the shipped ones."""
    known = known_devices()
    broken = tuple(_unusable_file(name, error) for name, error in known.damaged.items())
    return (*broken, *(_device(device, facts, parts, gpu) for device in known.devices))


def _unusable_file(name: str, error: EdgecnnError) -> DeviceFact:
    found = f"{error.what}: {error.because}" if error.because else error.what
    return DeviceFact(name=name, aliases=(), title="a device file of your own", state=State.BROKEN, found=found, hint=error.hint)


def _device(device: Device, facts: LocalFacts, parts: Sequence[Part], gpu: GpuFact) -> DeviceFact:
    state, found, hint = _state_of(device, facts, parts, gpu)
    return DeviceFact(name=device.name, aliases=device.aliases, title=device.title, state=state, found=found, hint=hint)


def _state_of(device: Device, facts: LocalFacts, parts: Sequence[Part], gpu: GpuFact) -> tuple[State, str, str | None]:
    if device.facts_only is not None:
        return State.ABSENT, f"nothing is built for it: {device.facts_only.why}", device.facts_only.instead
    if matches(device, facts):
        return _here(device, parts, gpu)
    return State.ABSENT, "another machine; it is not attached", _elsewhere(device)


def _here(device: Device, parts: Sequence[Part], gpu: GpuFact) -> tuple[State, str, str | None]:
    if device.role == "baseline":
        return gpu.state, f"this machine's GPU; {gpu.found}", gpu.hint
    named = {part.name: part for part in parts}
    has = [named[runtime.value] for runtime in device.runtimes if runtime.value in named]
    ran = [part.name for part in has if part.state is State.WORKS]
    if ran:
        return State.WORKS, f"this machine; {', '.join(ran)} ran here", None
    whys = "; ".join(part.found for part in has)
    state = State.BROKEN if any(part.state is State.BROKEN for part in has) else State.UNTRIED
    return state, f"this machine, and none of its runtimes ran: {whys}", has[0].addition.command if has else None


def _elsewhere(device: Device) -> str | None:
    if device.role == "baseline":
        return None
    target = next(iter(build_targets(device)), None)
    if target is None:  # a file of the user's own may list nothing that is built for
        return None
    return f"edgecnn build --target {target}, which builds without it and ends with the command that measures on it"


def _unusable(models: Sequence[str]) -> str | None:
    gpu = local_gpu(models, {name: installed_version(name) for name in ("torch", "torchvision")})
    return None if gpu is None else gpu.unusable


def _ran(parts: Sequence[Part], name: str) -> bool:
    return any(part.name == name and part.state is State.WORKS for part in parts)
