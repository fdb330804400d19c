"""Workspaces with a dataset, as small as the question needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from sqlite_utils import Database

from core.db.connection import now, open_database, transaction
from core.models import store as models
from core.models.work import practice_row
from core.workspace.files import sha256_file
from core.workspace.paths import Workspace
from tests.support.training import SYSTEM, sample_messages

DATASET_ID = "11111111-1111-4111-8111-111111111111"

MOST = 1_000


def workspace_with_dataset(
    root: Path, *, train: int = 8, validation: int = 2, messages: int = MOST
) -> tuple[Workspace, Database]:
    """A workspace with the practice model and a ready dataset of the sample's shortest conversations.

    `messages`: each is cut after so many.
    """
    workspace = Workspace(root)
    workspace.create()
    db = open_database(workspace.db_path, workspace.backups)
    models.upsert(db, practice_row())
    talks = sorted(sample_messages(), key=lambda t: sum(len(m["content"]) for m in t))[: train + validation]
    folder = workspace.datasets / DATASET_ID
    folder.mkdir()
    path = folder / "data.jsonl"
    rows: list[dict[str, Any]] = [
        {
            "id": f"row-{i}",
            "messages": talk[:messages],
            "split": "validation" if i < validation else "train",
            "source": {},
        }
        for i, talk in enumerate(talks)
    ]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    with transaction(db):
        db.execute(
            "insert into datasets(id, name, format, file_path, file_size, content_hash, status, training_ready,"
            " total_conversations, total_validation_conversations, system_prompt, created_at, updated_at)"
            " values(?, 'Ten talks', 'chat_messages', ?, ?, ?, 'ready', 1, ?, ?, ?, ?, ?)",
            [
                DATASET_ID, workspace.relative(path), path.stat().st_size, sha256_file(path), len(rows), validation,
                SYSTEM, now(), now(),
            ],
        )  # fmt: skip
    return workspace, db
