"""A real process that indexes a folder again and again, for kill tests.

python -m tests.crash.index_driver PLACE SEED. Prints a line for each thing it has acknowledged.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from core.code_index import embedding, filling
from tests.support.code_index import Project, StubEmbedder


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main() -> int:
    # Small, so that a kill falls between any two steps.
    embedding.GROUP, embedding.BATCH_ROWS, filling.BATCH_ROWS = 8, 16, 24
    project, chance = Project(Path(sys.argv[1]), StubEmbedder()), random.Random(int(sys.argv[2]))
    say("ready")
    for number in range(10_000):
        paths = sorted(path.relative_to(project.root).as_posix() for path in project.root.rglob("*.py"))
        path = chance.choice(paths)
        what, changed = chance.random(), {path}
        if what < 0.7 or len(paths) < 5:
            project.write(path, *(f"fn_{chance.randrange(60)}" for _ in range(8)))
        elif what < 0.85:
            target = f"pkg/r{number}_{chance.randrange(99)}.py"
            (project.root / path).rename(project.root / target)
            changed.add(target)
        else:
            (project.root / path).unlink()
        report = project.refresh(changed if chance.random() < 0.7 else None)
        say("acknowledged", report.index_state)
        for notice in report.notices:
            say("notice", notice.code, notice.detail)
        if chance.random() < 0.4:
            project.indexer.maintain("asked")
            say("maintained")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
