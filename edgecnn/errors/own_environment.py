"""Failures of runtimes that have an environment of their own."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError, ExitCode


class RuntimeEnvironmentMissing(EdgecnnError):
    """Raised where a runtime's own Python is not named, does not start, or lacks one of the runtime's distributions."""

    ref = "runtime-environment-missing"
    exit_code = ExitCode.MISSING

    def __init__(self, *, needed_for: str, why: str, command: str) -> None:
        super().__init__(what=f"{needed_for} needs an environment of its own", because=why, hint=command)


class ConverterFailed(EdgecnnError):
    """Raised when a runtime's converter crashed, hung, or left no model; its last words are the cause."""

    ref = "converter-failed"

    def __init__(self, *, converter: str, candidate: str, why: str) -> None:
        super().__init__(
            what=f"{converter} made no model of {candidate}",
            because=why,
            hint="leave this runtime out; the other candidates of the build do not need it",
        )


class LayerNotConverted(EdgecnnError):
    """Raised when a converter left a layer that its runtime does not have, which would only be refused on the device."""

    ref = "layer-not-converted"

    def __init__(self, *, converter: str, candidate: str, layer: str, name: str) -> None:
        super().__init__(
            what=f"{converter} has no form of {layer} for {candidate} (layer {name})",
            hint="leave this runtime out, or write the network without that operator",
        )
