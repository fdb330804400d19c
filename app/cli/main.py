"""The command line: `python -m app pipeline|generate|ask|project|ollama|...`. Qt is never imported here."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import orjson

COMMANDS = ("pipeline", "generate", "ask", "project", "ollama", "build-practice-model")


def run_command(args: list[str]) -> int:
    """Dispatch a command; 2 for usage."""
    if args[0] == "pipeline":
        from app.cli.pipeline import main

        return main(args[1:])
    if args[0] == "generate":
        from app.cli.generate import main

        return main(args[1:])
    if args[0] == "ask":
        from app.cli.ask import main

        return main(args[1:])
    if args[0] == "project":
        from app.cli.project import main

        return main(args[1:])
    if args[0] == "ollama":
        from app.cli.ollama import main

        return main(args[1:])
    if args[0] == "build-practice-model":
        return build_practice_model(args[1:])
    sys.stderr.write(f"Unknown command {args[0]!r}. Known: {', '.join(COMMANDS)}.\n")
    return 2


def build_practice_model(args: list[str]) -> int:
    """Build the practice model into a folder, from the shipped text or another one."""
    from core.errors import AppError
    from core.models.practice import text_folder
    from core.models.practice_builder import PracticeConfig, build
    from core.workspace.files import new_folder

    parser = argparse.ArgumentParser(prog="app build-practice-model", description=build_practice_model.__doc__)
    parser.add_argument("folder", type=Path, help="new folder for the model")
    parser.add_argument("--text", type=Path, default=text_folder(), help="folder with .txt files of dialogues")
    parser.add_argument("--steps", type=int, default=PracticeConfig().steps)
    parser.add_argument("--seed", type=int, default=PracticeConfig().seed)
    options = parser.parse_args(args)
    if options.folder.exists():
        parser.error(f"{options.folder} already exists; name a new folder")

    def report(done: int, total: int, words: str) -> None:
        if done % 10 == 0 or done == total:
            sys.stdout.write(orjson.dumps({"done": done, "total": total, "message": words}).decode() + "\n")
            sys.stdout.flush()

    try:
        with new_folder(options.folder) as tmp:
            about = build(options.text, tmp, PracticeConfig(steps=options.steps, seed=options.seed), report)
    except AppError as error:
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return 1
    sys.stdout.write(orjson.dumps(about).decode() + "\n")
    return 0
