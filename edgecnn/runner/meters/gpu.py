"""Energy of one NVIDIA GPU board, by its driver's counter (Volta and later)."""

from __future__ import annotations

from typing import Dict, Iterable

from ..machine.nvml import LIBRARIES, Nvml, NvmlAbsent
from .meter import CounterMeter, MeterAbsent


class GpuBoard(CounterMeter):
    """The GPU that a kit runs on."""

    name = "nvml"
    covers = "the GPU's board, without the computer around it"

    def __init__(self, libraries: Iterable[str] = LIBRARIES) -> None:
        """Open the library, find the GPU, and read its counter once.

        Raises:
            MeterAbsent: one of these steps failed.
        """
        super().__init__()
        try:
            self._library = Nvml(libraries)
            self._device = self._library.device()
        except NvmlAbsent as absent:
            raise MeterAbsent(absent.why, absent.hint) from None
        self.read_uj()

    def read_uj(self) -> Dict[str, int]:
        """See ``CounterMeter.read_uj``."""
        try:
            return {"the GPU's counter": 1000 * self._library.energy_mj(self._device)}
        except NvmlAbsent as absent:
            raise MeterAbsent(absent.why, absent.hint) from None

    def close(self) -> None:
        """Release the library."""
        self._library.close()
