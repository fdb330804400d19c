"""Search in every list: capitals of any alphabet, both forms of an accent, no wildcards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from core.conversations import store as conversations
from core.datasets import store as datasets
from core.db.connection import now, transaction
from core.projects import chats
from core.scaffolding import store as scaffolding
from core.training_files import store as training_files
from tests.core.factories import Place, add_conversation, parsed, place

NAME = "Überblick 100%"
Search = Callable[[Database, str], list[Any]]
SEARCHES: dict[str, Search] = {
    "conversations": lambda db, text: conversations.listing(db, conversations.Filter(search=text)),
    "chats": lambda db, text: chats.listing(db, search=text),
    "datasets": lambda db, text: datasets.listing(db, search=text),
    "training_files": lambda db, text: training_files.listing(db, search=text),
    "scaffolding": lambda db, text: scaffolding.listing(db, scaffolding.TrainingTopic, search=text),
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    found = place(tmp_path)
    add_conversation(found, parsed(title=NAME), title=NAME)
    stamps = [now(), now()]
    with transaction(found.db):
        chat = (
            "insert into base_models(id, name, path, kind, architecture, parameter_count, size_bytes, vocab_size,"
            " context_length, structure_fingerprint, content_fingerprint, template_hash, created_at)"
            " values('base', 'B', '/b', 'folder', 'llama', 1, 1, 1, 1, 's', 'c', 't', ?)"
        )
        found.db.execute(chat, stamps[:1])
        for table, columns, values in (
            ("chats", "title, base_model_id", [NAME, "base"]), ("training_files", "name, status", [NAME, "active"]),
            ("datasets", "name, format, status", [NAME, "v4", "ready"]),
        ):  # fmt: skip
            marks = ", ".join("?" * (len(values) + 3))
            found.db.execute(
                f"insert into {table}(id, created_at, updated_at, {columns}) values({marks})", ["one", *stamps, *values]
            )
    found.db.execute("update training_topics set name = ? where rowid = 1", [NAME])
    yield found
    found.db.close()


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("text", ["Überblick", "überblick", "U\u0308BERBLICK", "100%"])
def test_search_folds_every_alphabet(here: Place, name: str, text: str) -> None:
    assert len(SEARCHES[name](here.db, text)) == 1


@pytest.mark.parametrize("name", SEARCHES)
def test_a_wildcard_is_a_character(here: Place, name: str) -> None:
    assert SEARCHES[name](here.db, "Ü_er") == []
    assert SEARCHES[name](here.db, "Ü%k") == []
