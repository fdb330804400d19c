"""Where every field of an enriched conversation came from: one entry a field path, stored beside the file.

"training_pairs[].x" applies to every pair; "training_pairs[2].x" applies to one and takes precedence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.workspace.files import dump_json, read_json
from core.workspace.paths import Workspace

FILE, SCAFFOLDING, RULE, SETTING, NULL = "file", "scaffolding", "rule", "setting", "null"
KINDS = (FILE, SCAFFOLDING, RULE, SETTING, NULL)
ENRICHED, SOURCES = "enriched.json", "sources.json"
_INDEX = re.compile(r"\[\d+\]")


def origin(source: str, reason: str) -> dict[str, str]:
    """One entry."""
    return {"source": source, "reason": reason}


def entry(fields: Mapping[str, Any], path: str) -> Mapping[str, str] | None:
    """The origin of a path: its own, that of the same field in every pair, or that of the containing object."""
    while path:
        for form in (path, _INDEX.sub("[]", path)):
            if form in fields:
                found: Mapping[str, str] = fields[form]
                return found
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return None


def leaves(value: Any, prefix: str = "") -> list[str]:
    """The paths of every value in a document; empty lists and objects are values."""
    if isinstance(value, Mapping) and value:
        out = []
        for key, part in value.items():
            out += leaves(part, f"{prefix}.{key}" if prefix else str(key))
        return out
    if isinstance(value, list) and value:
        return [path for i, part in enumerate(value) for path in leaves(part, f"{prefix}[{i}]")]
    return [prefix]


def unsourced(document: Mapping[str, Any], fields: Mapping[str, Any]) -> list[str]:
    """Paths of a document that have no origin."""
    return [path for path in leaves(document) if entry(fields, path) is None]


def pack(document_bytes: bytes, fields: Mapping[str, Any], quality: Mapping[str, Any]) -> bytes:
    """The file beside enriched.json; it identifies that file by its hash."""
    digest = hashlib.sha256(document_bytes).hexdigest()
    return dump_json({"document_sha256": digest, "fields": fields, "quality": quality})


def load(workspace: Workspace, enriched_file_path: str) -> dict[str, Any]:
    """Sources and quality of an enriched conversation: {"fields": ..., "quality": ...}.

    Raises AppError `sources_out_of_step` if the two files are not of one run, as after a power cut between them.
    """
    enriched: Path = workspace.absolute(enriched_file_path)
    data: dict[str, Any] = read_json(enriched.with_name(SOURCES))
    if data.get("document_sha256") != hashlib.sha256(enriched.read_bytes()).hexdigest():
        raise AppError(
            "sources_out_of_step",
            "The field sources of this conversation and its enriched file are from different runs.",
            hint="Enrich the conversation again to write both.",
            action="page:conversations",
        )
    return data
