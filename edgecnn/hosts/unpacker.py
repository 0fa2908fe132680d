"""Makes a virtual environment from wheels that lie beside it: no pip and no network, Python 3.8 and its standard library alone.

It is sent to a board's Python over standard input, after a line that sets ``FOLDER`` and ``WHEELS``.
"""

import json
import os
import re
import sys
import venv
import zipfile
from pathlib import Path
from typing import Dict, Sequence


def unpack(folder: Path, wheels: Sequence[str]) -> Dict[str, object]:
    """The environment ``folder / "env"``, which still sees the system's packages: JetPack's TensorRT exists nowhere else."""
    environment = folder / "env"
    venv.EnvBuilder(system_site_packages=True, with_pip=False, symlinks=True).create(str(environment))
    site = environment / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"
    for name in wheels:
        with zipfile.ZipFile(str(folder / "wheels" / name)) as archive:
            # Commands of packages are left out; a name that leaves the folder is made harmless by zipfile itself.
            archive.extractall(str(site), [member for member in archive.namelist() if not re.match(r"[^/]+\.data/", member)])
    return {"ok": True, "python": str(environment / "bin" / "python3")}


if __name__ == "__main__":
    answer = unpack(Path(os.path.expanduser(FOLDER)), WHEELS)  # type: ignore[name-defined]  # noqa: F821 - see above
    sys.stdout.write(json.dumps(answer) + "\n")
