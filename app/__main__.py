"""Entry of everything: workers, the command line, the window. Qt is imported by the window alone."""

from __future__ import annotations

import multiprocessing
import os
import sys

WORKERS = {
    "data": "core.workers.host:run_job",
    "training": "core.workers.host:run_job",
    "generation": "core.workers.host:run_job",
    "inference": "core.inference.worker:main",
    "index": "core.workers.host:run_job",
    "code": "core.code_index.worker:main",
}

# Embeddings are made there and nowhere else.
USE_TORCH = ("code", "index")


def hide_torch(worker: str = "") -> None:
    """Keep a process from loading torch: transformers does where it is installed, for two seconds and 300 MB."""
    if worker not in USE_TORCH:
        sys.modules.setdefault("torch", None)  # type: ignore[arg-type]


def main(argv: list[str] | None = None) -> int:
    """Dispatch; returns the exit code."""
    args = sys.argv[1:] if argv is None else argv
    if args[:1] == ["--worker"]:
        from core.registry import resolve

        if len(args) < 2 or args[1] not in WORKERS:
            sys.stderr.write(f"usage: --worker {'|'.join(WORKERS)} [RUN_DIR]\n")
            return 2
        hide_torch(args[1])
        return int(resolve(WORKERS[args[1]])(args[2:]))
    hide_torch()
    if args[:1] and not args[0].startswith("-"):
        from app.cli.main import run_command

        return run_command(args)
    from app.system_libraries import complaint

    if missing := complaint():
        sys.stderr.write(missing)
        return 1
    from app.bootstrap import run

    return run(args)


if __name__ == "__main__":
    # A large project is read by several processes; in the bundle each of them starts here.
    multiprocessing.freeze_support()
    code = main()
    if sys.argv[1:2] == ["--worker"]:
        # Nothing is left to do: a thread that a library keeps, or a pool that waits for a process that was killed while
        # it answered, must not hold it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)
