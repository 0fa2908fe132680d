from pathlib import Path

import numpy as np

from edgecnn.data.pixels import reserved


def test_reserved_pixels_have_their_blocks_on_the_disk_before_they_are_filled(tmp_path: Path) -> None:
    pixels = reserved(tmp_path / "a.npy", (100, 64, 64, 3))
    facts = (tmp_path / "a.npy").stat()
    assert facts.st_blocks * 512 >= facts.st_size > pixels.nbytes
    pixels[99] = 7
    pixels.flush()
    assert np.load(tmp_path / "a.npy")[99].min() == 7
