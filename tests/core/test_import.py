from __future__ import annotations

import json
import os
import shutil
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core import jobs, trash
from core.cancel import CancelToken
from core.conversations import store
from core.datasets import store as datasets
from core.errors import AppError
from core.events import Changed
from core.importing.recognise import recognise
from core.importing.work import run
from core.jobs import Job
from core.reading import report
from core.reading.records import records
from core.registries import IMPORTERS
from core.workers.host import Channel, JobContext
from core.workers.protocol import EventLog, read_events
from core.workers.runner import run_to_end
from tests.core.factories import Place, load, raw

MB = 1024 * 1024
EXAMPLES = Path(__file__).parents[2] / "resources" / "schemas"


def save(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def rejected(here: Place, job: Job) -> dict[str, report.ImportItem]:
    return {Path(item.file).name: item for item in report.items(here.db, job.id, outcome="rejected")}


def only(here: Place) -> store.Conversation:
    (found,) = store.listing(here.db)
    return found


# --- the main path


def test_a_raw_conversation_keeps_its_bytes_and_gets_a_parsed_form(here: Place) -> None:
    path = EXAMPLES / "raw.example.json"
    job = load(here, path)
    assert {k: job.result[k] for k in ("in", "used", "rejected", "cut")} == {
        "in": 1, "used": 1, "rejected": 0, "cut": 0,
    }  # fmt: skip
    found = only(here)
    assert job.result["conversations"] == [found.id] == [found.conversation_id]
    assert here.workspace.absolute(found.raw_response_path or "").read_bytes() == path.read_bytes()
    original = json.loads(path.read_bytes())
    content = store.read_parsed(here.workspace, found)
    assert content["turns"] == original["turns"]
    assert content["input_parameters"] == original["input_parameters"]
    assert [turn.content for turn in store.turns(here.workspace, found)][-1] is None
    assert any("turn 4" in note for note in found.import_notes)
    assert (found.persona_name, found.persona_key, found.status) == ("David Chen", "pragmatic_optimist", "draft")
    assert found.source_ids["persona_id"] == original["input_parameters"]["persona_id"]
    own = here.db.execute("select persona_id from conversations").fetchone()[0]
    assert own not in ("", None, original["input_parameters"]["persona_id"])


def test_folders_arrays_and_lines_are_read_recursively(here: Place, source: Path) -> None:
    deep = source / "a" / "b"
    deep.mkdir(parents=True)
    save(deep / "one.json", raw(1))
    save(source / "list.json", [raw(2), raw(3)])
    (source / "lines.jsonl").write_text("\n".join(json.dumps(raw(n)) for n in (4, 5)) + "\n\n")
    (source / "notes.txt").write_text("not looked at")
    (source / "circle").symlink_to(source)
    job = load(here, source, source / "list.json")
    assert (job.result["used"], job.result["rejected"], job.result["ignored_files"]) == (5, 0, 2)
    assert {c.title for c in store.listing(here.db)} == {f"Number {n}" for n in range(1, 6)}
    line = store.listing(here.db, store.Filter(search="Number 5"))[0]
    raw_file = here.workspace.absolute(line.raw_response_path or "")
    assert raw_file.read_bytes() == json.dumps(raw(5)).encode()


def test_missing_scaffolding_is_a_note_not_a_rejection(here: Place, source: Path) -> None:
    bare = raw(1)
    del bare["input_parameters"]
    save(source / "bare.json", bare)
    save(source / "unknown.json", raw(2, input_parameters={"persona_key": "nobody"}))
    job = load(here, source)
    assert (job.result["used"], job.result["rejected"]) == (2, 0)
    notes = {c.title: " ".join(c.import_notes) for c in store.listing(here.db)}
    assert "input_parameters" in notes["Number 1"]
    assert "emotional_arc_key" in notes["Number 2"]
    first = store.listing(here.db, store.Filter(search="Number 1"))[0]
    with pytest.raises(AppError, match="nobody"):
        store.set_scaffolding(
            here.db, here.workspace, first.id, persona_key="nobody", emotional_arc_key="confusion_to_clarity",
            training_topic_key="debt_consolidation",
        )  # fmt: skip
    store.set_scaffolding(
        here.db, here.workspace, first.id, persona_key="anxious_planner", emotional_arc_key="confusion_to_clarity",
        training_topic_key="debt_consolidation",
    )  # fmt: skip
    found = store.get(here.db, first.id)
    assert found.persona_key == "anxious_planner"
    assert store.read_parsed(here.workspace, found)["input_parameters"]["persona_key"] == "anxious_planner"


def test_the_importer_is_told_by_content_not_by_name(here: Place, source: Path) -> None:
    (source / "chat.json").write_text("\n".join(json.dumps(chat(n)) for n in range(3)))
    shutil.copy(EXAMPLES / "raw.example.json", source / "conversation.jsonl")
    shutil.copy(EXAMPLES / "individual.example.json", source / "pairs.txt")
    job = load(here, source, source / "pairs.txt")
    assert len(job.result["conversations"]) == 1
    assert {d.format for d in datasets.listing(here.db)} == {"chat_messages", "brightrun_lora_v4"}


def chat(number: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"Q{number}"}, {"role": "assistant", "content": "A"}]}


def test_an_importer_from_elsewhere_works_in_the_real_worker(here: Place, source: Path) -> None:
    save(source / "d.json", {"dialogue": ["Hello?", "Hello."], "name": "Short"})
    assert rejected(here, load(here, source))["d.json"].code == "not_recognised"
    IMPORTERS.register("dialogues", "tests.plugins.tiny_importer:IMPORTER")
    try:
        job = load(here, source)
    finally:
        IMPORTERS.unregister("dialogues")
    assert job.result["used"] == 1
    assert only(here).title == "Short"


# --- broken files


def broken_files(folder: Path) -> dict[str, str]:
    """Name -> code of what is wrong with it."""
    (folder / "not_json.json").write_text("Dear diary, today")
    save(folder / "wrong_shape.json", raw(90, turns="a text"))
    save(folder / "empty_turns.json", raw(91, turns=[]))
    swapped = raw(92)
    swapped["turns"] = swapped["turns"][1:]
    save(folder / "swapped.json", swapped)
    with (folder / "long_line.jsonl").open("wb") as handle:
        handle.write(b'{"turns": "' + b"x" * (50 * MB) + b'"}\n' + json.dumps(raw(93)).encode())
    (folder / "binary.json").write_bytes(b"\x89PNG\r\n\x00\x00\x01\x02" * 50)
    save(folder / "no_scaffolding.json", {k: v for k, v in raw(94).items() if k != "input_parameters"})
    save(folder / "twin.json", raw(1, title="Another title"))
    (folder / "truncated.json").write_text(json.dumps(raw(95), indent=1)[:-40])
    save(folder / "unknown.json", {"recipe": "soup"})
    (folder / "empty.json").write_bytes(b"")
    return {
        "not_json.json": "not_json", "wrong_shape.json": "wrong_shape", "empty_turns.json": "empty_turns",
        "swapped.json": "roles_swapped", "long_line.jsonl": "record_too_long", "binary.json": "binary_file",
        "twin.json": "duplicate", "truncated.json": "truncated_json", "unknown.json": "not_recognised",
        "empty.json": "empty_file",
    }  # fmt: skip


def test_ten_broken_files_are_each_named_and_the_good_ones_go_through(here: Place, source: Path) -> None:
    save(source / "good.json", raw(1))
    save(source / "zz_good.json", raw(2))
    wanted = broken_files(source)
    job = load(here, source)
    found = rejected(here, job)
    assert {name: item.code for name, item in found.items()} == wanted
    assert all(item.message and item.hint for item in found.values())
    # Used: two good ones, the second line of the long file, the one without scaffolding.
    assert (job.result["used"], job.result["rejected"]) == (4, len(wanted))
    assert found["swapped.json"].field == "turns[0].role"
    assert found["wrong_shape.json"].field == "turns"
    assert "50.0 MB" in found["long_line.jsonl"].message
    assert "32.0 MB" in found["long_line.jsonl"].message
    assert found["long_line.jsonl"].line == 1
    assert "end is missing" in found["truncated.json"].message
    assert found["truncated.json"].line > 10
    assert "Number 1" in found["twin.json"].message
    for shape in ("turns", "messages", "prompt", "training pairs"):
        assert shape in found["unknown.json"].hint
    again = load(here, source)
    assert (again.result["used"], again.result["rejected"]) == (0, len(wanted) + 4)


@contextmanager
def as_other_user() -> Iterator[None]:
    """Root may read everything, so root becomes nobody for a moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_file_that_may_not_be_read_is_named_under_another_uid(here: Place) -> None:
    # Not under tmp_path: pytest's folders are closed to other users.
    open_folder = Path(tempfile.mkdtemp(prefix="brightrun-"))
    try:
        open_folder.chmod(0o777)
        for folder in ("in", "run", "workspace", "in/closed"):
            (open_folder / folder).mkdir()
        target = open_folder / "workspace"
        shutil.copytree(here.workspace.root, target, dirs_exist_ok=True)
        save(open_folder / "in" / "a_good.json", raw(1))
        save(open_folder / "in" / "locked.json", raw(2)).chmod(0o000)
        for path in [open_folder / "run", target, *target.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)
        (open_folder / "in" / "closed").chmod(0o000)
        list(IMPORTERS.items())
        with as_other_user():
            spec = {"job_id": "j", "params": {"files": [str(open_folder / "in")]}, "workspace": str(target)}
            events = EventLog(open_folder / "run" / "events.jsonl")
            with open(os.devnull, "wb", buffering=0) as sink:
                result = run(JobContext(spec, open_folder / "run", Channel(sink), events))
            events.close()
        items = [event for event, _ in read_events(open_folder / "run" / "events.jsonl")]
        named = {Path(e["file"]).name: e for e in items if e["type"] == "item"}
        assert (result["used"], result["rejected"]) == (1, 2)
        assert {name: e["code"] for name, e in named.items()} == {
            "locked.json": "no_permission", "closed": "no_permission",
        }  # fmt: skip
        assert "permission" in named["locked.json"]["hint"]
    finally:
        (open_folder / "in" / "closed").chmod(0o700)
        shutil.rmtree(open_folder)


def test_things_that_are_no_files_do_not_stop_the_import(here: Place, source: Path) -> None:
    os.mkfifo(source / "pipe.json")
    (source / "gone.json").symlink_to(source / "nowhere")
    (source / "empty").mkdir()
    save(source / "good.json", raw(1))
    job = load(here, source, source / "empty", source / "missing.json")
    assert job.result["used"] == 1
    assert {name: item.code for name, item in rejected(here, job).items()} == {
        "pipe.json": "not_a_file", "gone.json": "no_such_file", "empty": "empty_folder",
        "missing.json": "no_such_file",
    }  # fmt: skip


def test_broken_lines_and_elements_leave_their_neighbours_alone(here: Place, source: Path) -> None:
    lines = [json.dumps(raw(1)), "{broken", json.dumps(raw(2)), "[]", json.dumps(raw(3))[:-9]]
    (source / "lines.jsonl").write_text("\n".join(lines))
    (source / "list.json").write_text(f'[{json.dumps(raw(4))}, {{"turns": [1 2]}}, 7,\n {json.dumps(raw(5))}]')
    job = load(here, source)
    assert {c.title for c in store.listing(here.db)} == {f"Number {n}" for n in (1, 2, 4, 5)}
    found = [(Path(i.file).name, i.line, i.code) for i in report.items(here.db, job.id, outcome="rejected")]
    assert found == [
        ("lines.jsonl", 2, "not_json"), ("lines.jsonl", 4, "wrong_shape"), ("lines.jsonl", 5, "truncated_json"),
        ("list.json", 1, "not_json"), ("list.json", 1, "wrong_shape"),
    ]  # fmt: skip


# --- large files, stopping


def test_a_hundred_megabytes_are_read_in_flat_memory_and_stop_at_once(here: Place, source: Path) -> None:
    path = source / "big.json"
    block = json.dumps(raw(1, turns=[{"role": "user", "content": "word " * 2000}])).encode()
    with path.open("wb") as handle:
        handle.write(b"[" + block)
        for _ in range(100 * MB // len(block)):
            handle.write(b"," + block)
        handle.write(b"]")
    tracemalloc.start()
    found = recognise(path)
    count = sum(1 for _ in records(path, found.encoding, found.layout))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count > 9_000
    assert peak < 120 * MB
    token, stopped = CancelToken(), []

    def stop(message: Any) -> None:
        if message["type"] == "progress" and not stopped:
            stopped.append(message["done"])
            token.cancel()

    job = load(here, path, listen=stop, token=token)
    assert job.status == "cancelled"
    assert stopped[0] < path.stat().st_size / 2


def lines_of_talks(path: Path) -> None:
    with path.open("w") as handle:
        for number in range(400):
            handle.write(json.dumps(raw(number)) + "\n" + ("{broken\n" if number == 3 else ""))


def array_on_one_line(path: Path) -> None:
    talks = [raw(number) for number in range(400)]
    path.write_text(json.dumps([*talks[:3], raw(990, turns=[]), *talks[3:]]))


@pytest.mark.parametrize("write", [lines_of_talks, array_on_one_line])
def test_an_import_that_was_stopped_goes_on_where_it_was(here: Place, source: Path, write: Any) -> None:
    write(source / "a.jsonl")
    save(source / "b.json", raw(1000))
    token, seen = CancelToken(), []

    def stop(message: Any) -> None:
        seen.append(message["type"])
        if seen.count("conversation") == 20:
            token.cancel()

    job = load(here, source, listen=stop, token=token)
    assert job.status == "cancelled"
    assert 0 < store.count(here.db) < 400
    jobs.requeue(here.db, job.id)
    claimed = jobs.claim_next(here.db)
    assert claimed is not None
    done = run_to_end(here.db, here.workspace, claimed)
    assert done.status == "completed"
    assert {k: done.result[k] for k in ("in", "used", "rejected")} == {"in": 402, "used": 401, "rejected": 1}
    assert store.count(here.db) == 401 == len(done.result["conversations"])
    assert report.counts(here.db, job.id) == {"used": 401, "rejected": 1}


def test_a_thousand_errors_of_a_file_are_listed_and_all_are_counted(here: Place, source: Path) -> None:
    lines = [json.dumps(chat(0))] + ['{"messages": []}'] * 1_500
    (source / "a.jsonl").write_text("\n".join(lines))
    job = load(here, source)
    assert (job.result["in"], job.result["used"], job.result["rejected"]) == (1501, 1, 1500)
    items = report.items(here.db, job.id, outcome="rejected", limit=5_000)
    assert len(items) == 1_001
    assert items[-1].code == "more_rejected"
    assert "500 more" in items[-1].message


# --- rows


def test_pages_filters_and_review(here: Place, source: Path) -> None:
    other = {"persona_key": "anxious_planner", "persona_name": "Foreign", "emotional_arc_key": "made_up"}
    for number in range(7):
        save(source / f"{number}.json", raw(number, **({"input_parameters": other} if number > 4 else {})))
    load(here, source)
    titles = [c.title for c in store.listing(here.db, order_by="title", descending=False, limit=3, offset=2)]
    assert titles == ["Number 2", "Number 3", "Number 4"]
    anxious = store.Filter(persona_key="anxious_planner")
    assert store.count(here.db, anxious) == 2 == len(store.ids(here.db, anxious))
    assert store.count(here.db, store.Filter(search="david number")) == 5
    assert store.count(here.db, store.Filter(search="100%_")) == 0
    chosen = store.ids(here.db, anxious)
    assert store.get(here.db, chosen[0]).arc_name == "made_up"
    assert store.set_status(here.db, chosen, "approved", "Good") == Changed.CONVERSATIONS
    found = store.listing(here.db, store.Filter(status="approved", reviewed=True))
    assert {c.id for c in found} == set(chosen)
    assert {c.reviewer_notes for c in found} == {"Good"}
    store.set_status(here.db, chosen[:1], store.ReviewStatus.DRAFT)
    assert store.get(here.db, chosen[0]).human_reviewed is False
    assert store.set_status(here.db, ["nobody"], "approved") == Changed.NOTHING
    trash.delete(here.db, "conversations", chosen)
    assert store.count(here.db) == 5
    assert store.count(here.db, store.Filter(deleted=True)) == 2
    for name in store.ORDERS:
        assert len(store.listing(here.db, order_by=name)) == 5
    with pytest.raises(AppError):
        store.get(here.db, "nobody")


def test_a_deleted_conversation_may_be_imported_again_and_blocks_its_twin(here: Place, source: Path) -> None:
    path = save(source / "a.json", raw(1))
    load(here, path)
    first = only(here)
    trash.delete(here.db, "conversations", [first.id])
    assert load(here, path).result["used"] == 1
    with pytest.raises(AppError, match="Number 1") as caught:
        trash.restore(here.db, "conversations", [first.id])
    assert caught.value.code == "restore_conflict"
