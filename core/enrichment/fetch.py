"""Stage 1: read the conversation's parsed file; the raw reply only where it is the only one."""

from __future__ import annotations

from pathlib import Path

from core.enrichment.stage import INFO, WARNING, StageContext, State
from core.errors import AppError
from core.workspace.files import read_json

COLUMNS = ("file_path", "raw_response_path")


def source_path(context: StageContext) -> Path | None:
    """The file this conversation is read from, None if there is none."""
    for column in COLUMNS:
        relative = context.conversation[column]
        if relative and context.workspace.absolute(relative).is_file():
            return context.workspace.absolute(relative)
    return None


class Fetch:
    """Reads the file; the next stage checks its content."""

    name = "fetch"
    version = "1"
    title = "Fetch"

    def run(self, context: StageContext, state: State) -> State:
        """Put the conversation as it is on disk into the state. Raises AppError if it can't be read."""
        path = source_path(context)
        if path is None:
            raise AppError(
                "conversation_file_missing",
                "The conversation's file is no longer in the workspace.",
                hint="Import the conversation again, or restore the conversations folder from a backup.",
                detail=repr([context.conversation[column] for column in COLUMNS]),
                action="page:conversations",
            )
        relative = context.workspace.relative(path)
        if relative != context.conversation["file_path"]:
            context.find(
                WARNING, "file", "Only the raw reply is available; it often lacks input_parameters.",
                "Import the conversation again if later stages can't find its scaffolding.",
            )  # fmt: skip
        content = read_json(path)
        if not isinstance(content, dict):
            raise AppError(
                "not_a_conversation",
                f"{path.name} holds a {type(content).__name__} where a conversation was expected.",
                hint="A conversation is an object with title, turns, and input_parameters. Import it again.",
            )
        context.find(INFO, "file", f"Read {path.name}, {path.stat().st_size:,} bytes.")
        return State(source=content, source_file=relative)


STAGE = Fetch()
