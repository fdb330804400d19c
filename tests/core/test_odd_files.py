"""Odd records and odd disks: named, and never in the way of the others."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from core.conversations.parse import parse
from core.datasets.messages import check
from core.db.connection import transaction
from core.enrichment import training_pairs
from core.errors import AppError
from core.reading import report
from core.reading.limits import MAX_TURNS
from core.workers.host import _run_handler
from core.workspace.lock import FileLock
from tests.core.factories import Place, parsed, run_job

GOOD = json.dumps(parsed(("Hello?", "Good day.")))
DEEP = "[" * 300 + "]" * 300
RAW = {"title": "x", "turns": [{"role": "user", "content": "a"}], "input_parameters": {"a": 0}}
V4: dict[str, Any] = {"conversation_id": "c", "turn_number": 3, "current_user_input": "a", "target_response": "b"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (json.dumps(RAW).replace("0", DEEP), "too_deep"),
        (json.dumps(V4 | {"conversation_history": 0}).replace("0", DEEP), "too_deep"),
        (json.dumps(V4 | {"turn_number": 2**63 + 5}), "wrong_shape"),
        (json.dumps({"messages": [{"role": "x" * 300_000, "content": "a"}]}), "unknown_role"),
    ],
    ids=["deep parameters", "deep history", "large number", "long role"],
)
def test_an_odd_record_is_named_and_the_good_file_goes_through(
    here: Place, tmp_path: Path, text: str, code: str
) -> None:
    odd, good = tmp_path / "odd.json", tmp_path / "good.json"
    odd.write_text(text)
    good.write_text(GOOD)
    job = run_job(here, "import", {"files": [str(odd), str(good)]})
    assert (job.result["used"], job.result["rejected"]) == (1, 1)
    item = report.items(here.db, job.id, outcome="rejected")[0]
    assert (item.code, item.file) == (code, str(odd))
    assert len(item.message) < 500


def turns(count: int) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[n % 2], "content": f"Turn {n}"} for n in range(count)]


@pytest.mark.parametrize("read", [lambda t: parse({"turns": t, "title": "x"}), check])
def test_a_conversation_without_end_is_refused_before_it_fills_the_disk(read: Any) -> None:
    read(turns(MAX_TURNS))
    with pytest.raises(AppError, match="100,000 turns") as caught:
        read(turns(100_000))
    assert caught.value.code == "too_many_turns"


def test_histories_that_would_fill_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_pairs, "MAX_REPEATED", 100)
    with pytest.raises(AppError, match="40 turns"):
        training_pairs.exchanges(turns(40))


def test_a_commit_that_fails_leaves_no_transaction_open(here: Place) -> None:
    here.db.execute("create table parent(id integer primary key)")
    here.db.execute("create table child(id integer references parent(id) deferrable initially deferred)")
    with pytest.raises(sqlite3.IntegrityError), transaction(here.db):
        here.db.execute("insert into child values(1)")
    assert not here.db.conn.in_transaction


def test_a_lock_does_not_need_room_for_its_pid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    lock = FileLock(tmp_path / "lock")
    assert lock.try_acquire()
    lock.release()


class FullDisk:
    """A context whose event log has no room."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def emit(self, *_args: object, **_fields: object) -> None:
        raise OSError(28, "No space left on device")

    def send_transient(self, kind: str, **fields: Any) -> None:
        self.sent.append((kind, fields))


def test_a_worker_without_room_for_its_last_word_still_says_why(tmp_path: Path) -> None:
    context: Any = FullDisk(tmp_path)
    assert _run_handler(context, "tests.core.test_odd_files:handler", memory_bytes=0) == 1
    assert context.sent[0][1]["error"]["code"] == "disk_full"


def handler(_context: Any) -> dict[str, Any]:
    """A job with nothing to do."""
    return {}
