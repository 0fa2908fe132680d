"""Whether runs that came from elsewhere can be a device's, by what their machine said of itself.

Only a contradiction counts. A container may hide the board's name, and what was not read rules nothing out.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.values.device import Device


def contradiction(device: Device, observed: Mapping[str, str]) -> str | None:
    """What rules out that a machine with these observations is the device, or None.

    Args:
        device: as its file states it.
        observed: of a run's environment: ``architecture``, ``cpu_vendor``, ``model`` and ``gpu``, as far as they were read.
    """
    ran_on, wanted = observed.get("architecture"), device.processor.architecture
    if wanted != "any" and ran_on not in (None, wanted):
        return f"they were made on {ran_on}, and {device.name} is {wanted}"
    vendor = observed.get("cpu_vendor")
    if device.match.cpu_vendor is not None and vendor not in (None, device.match.cpu_vendor):
        return f"they were made on a processor of {vendor}, and {device.name} has one of {device.match.cpu_vendor}"
    models = [observed[name] for name in ("model", "gpu") if name in observed]
    named = device.match.model_contains
    if named is not None and models and not any(named in model for model in models):
        return f"they were made on {', '.join(models)}, and {device.name} calls itself {named}"
    return None
