"""What the disk allows."""

from pathlib import Path

import pytest

from histoscale.errors import OutputError
from histoscale.slides.finished_slide import Encoding
from histoscale.workflows.upscale.disk import disk_bytes, ensure_disk


def test_a_disk_that_does_not_exist_yet_is_that_of_its_parent(tmp_path: Path) -> None:
    ensure_disk(tmp_path / "deep" / "deeper", 1)
    with pytest.raises(OutputError, match="and store and output take up to"):
        ensure_disk(tmp_path / "deep" / "deeper", 2**60)


def test_lossless_output_takes_more_disk() -> None:
    jpeg, none = (disk_bytes((4000, 3000), 1024, Encoding(kind)) for kind in ("jpeg", "none"))
    assert jpeg[0] == none[0] == 3 * (4096 * 3072 + 2000 * 1500 + 1000 * 750)
    assert jpeg[1] < 0.2 * none[1]
    assert none[1] == 4 * 4000 * 3000
