"""The window is painted soon and without the heavy libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from core.workspace.paths import source_root
from tests.support.patience import PATIENCE_S

FORBIDDEN = (
    "mlx", "mlx_lm", "transformers", "tokenizers", "pyqtgraph", "jsonschema_rs", "torch", "anthropic", "keyring",
    "numpy",
)  # fmt: skip
PROBE = f"""
import sys
from app.bootstrap import run
code = run(["--workspace", sys.argv[1], "--self-exit-after-paint"])
print(sorted(name for name in {FORBIDDEN!r} if name in sys.modules))
sys.exit(code)
"""


def start(tmp_path: Path) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path / "w")],
        cwd=source_root(), capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_the_window_opens_without_heavy_libraries(tmp_path: Path) -> None:
    for _ in range(2):
        report, imported = start(tmp_path)
    assert imported == "[]"
    told = json.loads(report)
    assert told["heavy"] == []
    # How soon is the benchmark's matter.
    assert told["seconds"] > 0
    assert not (tmp_path / "w" / "logs" / "crash.log").exists()


def test_a_process_that_reads_code_starts_without_what_only_the_writer_needs() -> None:
    # As a reader of an index that is begun: its parts are found by their names.
    probe = (
        "import core.code_index.parallel, core.code_index.chunking, core.code_index.code_tokens, sys;"
        "print([name for name in ('sqlite_utils', 'numpy', 'pyarrow', 'lancedb') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", probe], cwd=source_root(), capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
