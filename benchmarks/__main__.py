"""Run all benchmarks, or those named (NAMES)."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

NAMES = (
    "startup", "stalls", "data_line", "reading", "conversations", "adapter_switch", "large_switch", "coming_back",
    "click_to_active", "training_speed", "training_memory", "overhead", "generation", "chunking", "code_index",
    "retrieval", "project_switch", "ollama_switch",
)  # fmt: skip


def main() -> int:
    names = sys.argv[1:] or list(NAMES)
    unknown = [n for n in names if n not in NAMES]
    if unknown:
        print(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(NAMES)}")
        return 2
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%F %T')}")
    results = {}
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            os.environ["BRIGHTRUN_DATA"] = str(Path(folder) / "data")
            os.environ["BRIGHTRUN_MODELS"] = str(Path(folder) / "models")
            print(f"\n== {name}")
            results[name] = importlib.import_module(f"benchmarks.{name}").run(Path(folder))
            for key, value in results[name].items():
                print(f"  {key:<52} {value}")
    out = Path("build") / "bench.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(results, indent=1))
    print(f"\nwritten to {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
