"""Make a virtual environment from wheels, without pip or network, with Python 3.8 and its standard library alone.

The script is sent to a board's Python over standard input, after a line that sets ``FOLDER`` and ``WHEELS``.
"""

import json
import os
import re
import sys
import venv
import zipfile
from pathlib import Path
from typing import Dict, Sequence


def extract_wheel(wheel: Path, site: Path) -> None:
    """Unpack a wheel into a ``site-packages`` folder, without its scripts."""
    with zipfile.ZipFile(str(wheel)) as archive:  # zipfile keeps all names inside the folder
        archive.extractall(str(site), [name for name in archive.namelist() if not re.match(r"[^/]+\.data/", name)])


def unpack(folder: Path, wheels: Sequence[str]) -> Dict[str, object]:
    """Make ``folder / "env"`` with access to the system's packages, since JetPack's TensorRT exists only there."""
    environment = folder / "env"
    venv.EnvBuilder(system_site_packages=True, with_pip=False, symlinks=True).create(str(environment))
    site = environment / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"
    for name in wheels:
        extract_wheel(folder / "wheels" / name, site)
    return {"ok": True, "python": str(environment / "bin" / "python3")}


if __name__ == "__main__":
    answer = unpack(Path(os.path.expanduser(FOLDER)), WHEELS)  # type: ignore[name-defined]  # noqa: F821 - set by the sender
    sys.stdout.write(json.dumps(answer) + "\n")
