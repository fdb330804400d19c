"""What a process last wrote to its standard error, for reports of errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core.workers.own_log import TAIL_BYTES
from core.workspace.paths import source_root

PRINT = (
    "import sys; from core.workers.own_log import last_lines; sys.stderr.write('x' * 5000 + 'the end'); "
    "sys.stderr.flush(); print(last_lines())"
)


def test_the_end_of_a_file_is_given_and_nothing_of_a_pipe(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        done = subprocess.run(
            [sys.executable, "-c", PRINT], stdout=subprocess.PIPE, stderr=log, text=True, check=True, cwd=source_root()
        )
    assert done.stdout.strip().endswith("the end")
    assert len(done.stdout.strip()) == TAIL_BYTES
    piped = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, text=True, check=True, cwd=source_root())
    assert piped.stdout.strip() == ""
