"""Write every pinned text again, and delete the texts of surfaces that are gone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.surfaces.pinned import TEXTS, every_surface, pinned, text_of


def main() -> None:
    surfaces = every_surface()
    changed = []
    for path in set(TEXTS.rglob("*.txt")) - {pinned(name) for name in surfaces}:
        path.unlink()
        changed.append(path)
    for name, surface in surfaces.items():
        with tempfile.TemporaryDirectory() as folder:
            text = text_of(surface, Path(folder))
        path = pinned(name)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    print("\n".join(sorted(path.relative_to(TEXTS).as_posix() for path in changed)) or "every text is current")


if __name__ == "__main__":
    main()
