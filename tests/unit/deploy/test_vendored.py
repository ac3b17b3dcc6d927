"""Files of others are those that their authors have published."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = (ROOT / "services/control_room/static/vendor", ROOT / "tests/support/axe")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_vendored_file_has_the_bytes_that_are_pinned(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    pinned = {name: digest for digest, name in map(str.split, lines)}

    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.[jc]s*")} == pinned
    assert list(folder.glob("*LICENSE"))
