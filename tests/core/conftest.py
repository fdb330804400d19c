"""What the tests of core share: a workspace with the shipped scaffolding, a folder for files that are imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.factories import Place, place


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    found = place(tmp_path)
    yield found
    found.db.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder
