"""Reference networks raced on one machine, within so many minutes, for a record that can be sent.

What was made and raced lies in the store, so that the same command after an interruption goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import edgecnn
from edgecnn.backends.installed import require_packages
from edgecnn.bench.gpu_evidence import GpuGathering
from edgecnn.bench.reference_networks import EvidenceRequest, Gathering
from edgecnn.building.engines import builder_for
from edgecnn.bundle.evidence import EvidenceNetwork, EvidenceRecord, renamed, without_places
from edgecnn.devices.check.board import hardware_differences
from edgecnn.devices.check.ready import Wanted, runtimes_for
from edgecnn.devices.desktop_gpu import gpu_here
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.measuring import EvidenceElsewhere, NothingInEvidence
from edgecnn.planning.candidates import candidates_of
from edgecnn.resources import resource_folder
from edgecnn.store.disk import sha256_of
from edgecnn.store.store import Store
from edgecnn.values.base import utc_moment
from edgecnn.values.candidate import is_of_trunk
from edgecnn.values.profile import EMULATED_TIMES, Environment
from edgecnn.values.recipe import Recipe, TargetChoice
from edgecnn.values.resolved import DesktopGpu
from edgecnn.values.stage import Progress


def evidence_of(asked: EvidenceRequest, store: Store, tell: Progress) -> EvidenceRecord:
    """Make and measure the reference networks where the device is; the record is not sealed yet.

    Raises:
        MissingPackage: what makes networks is not installed.
        EvidenceElsewhere: this machine is another one than the device, or emulated.
        NothingInEvidence: no network could be made and timed.
        BoardError: of the board, or a lost link; the same call goes on where it stopped.
    """
    require_packages(("torch", "torchvision", "onnx"), extra="train", needed_for="evidence")
    device, runtime = asked.device, asked.runtime
    if asked.host is not None and asked.host.emulated:
        raise EvidenceElsewhere(device=device.name, why=EMULATED_TIMES)
    wanted = Wanted(device, f"edgecnn evidence --target {device.name}", runtimes_for(device, runtime))
    with store.in_use.held(), machine_for(asked.host, wanted, tell) as machine:
        at = attachment_of(device, machine.facts, machine.board)
        if not at.attached:
            raise EvidenceElsewhere(device=device.name, why=at.why)
        differing = tuple(hardware_differences(device, machine.facts))
        for sentence in differing:
            tell.note(sentence)
        lab = machine.lab(store, tell, device.name)
        if device.role == "baseline" and runtime is None:
            gpu = _gpu(asked)
            gathering: Gathering = GpuGathering(asked, lab, (gpu.candidate, *gpu.variants))
            unavailable = gpu.unavailable
        else:
            recipe = Recipe(target=TargetChoice(device=device.name, runtime=runtime))
            found, _, lacking = candidates_of(device, recipe, machine.facts)
            candidates = tuple(each for each in found if is_of_trunk(each))
            unavailable = {name: each.why for name, each in lacking.items()}
            gathering = Gathering(asked, lab, candidates, builder_for(candidates, machine, tell))
        gathering.run()
        return _record(gathering, replace(machine, warnings=(*machine.warnings, *differing)), unavailable)


def _gpu(asked: EvidenceRequest) -> DesktopGpu:
    """Raises EvidenceElsewhere: torch cannot use it, or it is at the other end of a link, where edgecnn has no torch."""
    device = asked.device.name
    if asked.host is not None:
        raise EvidenceElsewhere(device=device, why="torch's ways on a GPU are timed on the machine that edgecnn is installed on")
    gpu = gpu_here(asked.variants, asked.device)
    if gpu is None:
        raise EvidenceElsewhere(device=device, why="torch is not installed")
    if gpu.unusable is not None:
        raise EvidenceElsewhere(device=device, why=gpu.unusable)
    return gpu


def _record(gathering: Gathering, machine: Machine, unavailable: Mapping[str, str]) -> EvidenceRecord:
    asked, lab = gathering.asked, gathering.lab
    if not any(network.kits for network in gathering.networks):
        reasons = {**gathering.left_out, **{name: why for each in gathering.networks for name, why in each.failed.items()}}
        raise NothingInEvidence(device=asked.device.name, reasons=reasons)
    clean, named = partial(without_places, board=machine.board), partial(renamed, secret=lab.store.secret(lab.tell))
    dates = (kit.latency.observed_at for network in gathering.networks for kit in network.kits)
    file = asked.device_file or resource_folder("devices") / f"{asked.device.name}.toml"
    return EvidenceRecord(
        version=edgecnn.__version__,
        device=asked.device.name,
        device_title=asked.device.title,
        device_sha256=sha256_of(file),
        machine=lab.machine,
        environment=named(lab.environment),
        measured_at=min(dates, key=utc_moment),
        minutes=asked.minutes,
        seconds=round(gathering.spent_s, 1),
        networks=tuple(_as_sent(each, clean, named) for each in gathering.networks),
        left_out=_cleaned({**gathering.left_out, **unavailable}, clean),
        warnings=tuple(clean(each) for each in machine.warnings),
    )


def _as_sent(
    network: EvidenceNetwork, clean: Callable[[str], str], named: Callable[[Environment], Environment]
) -> EvidenceNetwork:
    kits = tuple(kit.model_copy(update={"environment": named(kit.environment)}) for kit in network.kits)
    return network.model_copy(update={"kits": kits, "failed": _cleaned(network.failed, clean)})


def _cleaned(reasons: Mapping[str, str], clean: Callable[[str], str]) -> dict[str, str]:
    return {name: clean(why) for name, why in reasons.items()}
