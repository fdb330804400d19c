"""The files of a conversation: as it came (`raw.json`, untouched) and as it was read (`parsed.json`), in its folder."""

from __future__ import annotations

from typing import Any

from core.conversations.digests import digest
from core.conversations.parse import Parsed
from core.workspace.files import dump_json, new_folder
from core.workspace.paths import Workspace

RAW, PARSED = "raw.json", "parsed.json"


def write(workspace: Workspace, ident: str, raw: bytes, parsed: Parsed) -> dict[str, Any]:
    """Write both files as a new folder, whole or not at all; returns the row as far as the files say it.

    The folder must not be there. Raises AppError `disk_full` or `file_error`.
    """
    folder = workspace.conversations / ident
    with new_folder(folder) as tmp:
        (tmp / RAW).write_bytes(raw)
        (tmp / PARSED).write_bytes(dump_json(parsed.to_json()))
    place = workspace.relative(folder)
    return {
        "id": ident, "title": parsed.title, "tier": parsed.tier, "persona_key": parsed.key("persona_key"),
        "emotional_arc_key": parsed.key("emotional_arc_key"), "training_topic_key": parsed.key("training_topic_key"),
        "source_id": parsed.source_id, "source_ids": dict(parsed.source_ids), "content_hash": parsed.content_hash,
        "turn_count": len(parsed.turns), "raw_response_path": f"{place}/{RAW}", "file_path": f"{place}/{PARSED}",
        "import_notes": list(parsed.notes), "digest": digest(parsed.turns).to_json(),
    }  # fmt: skip
