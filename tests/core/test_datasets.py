from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from core import jobs
from core.cancel import CancelToken
from core.datasets import messages, store
from core.datasets.build import Split
from core.datasets.importers.v4 import IMPORTER as V4
from core.datasets.spool import Spool
from core.db.connection import now, transaction
from core.errors import AppError
from core.jobs import Job
from core.models import store as models
from core.models.rendering import load_tokenizer
from core.models.work import practice_row
from core.reading import report
from core.workers.runner import run_to_end
from core.workspace import settings
from tests.core.factories import Place, place, run_job

EXAMPLES = Path(__file__).parents[2] / "resources" / "schemas"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    found = place(tmp_path, scaffolding=False)
    yield found
    found.db.close()


def save_lines(path: Path, values: list[Any]) -> Path:
    path.write_text("\n".join(v if isinstance(v, str) else json.dumps(v) for v in values), encoding="utf-8")
    return path


def load(here: Place, path: Path, **options: Any) -> Job:
    job = run_job(here, "import", {"files": [str(path)]}, **options)
    if job.status == "completed":
        assert job.result["in"] == job.result["used"] + job.result["rejected"] + job.result["cut"]
    return job


def only(here: Place) -> store.Dataset:
    (found,) = store.listing(here.db)
    return found


def chat(*texts: str, system: str = "") -> dict[str, Any]:
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"messages": [*([{"role": "system", "content": system}] if system else []), *turns]}


def pairs_of(talk: list[tuple[str, str | None]], ident: str = "c1", system: str = "Be kind.") -> list[dict[str, Any]]:
    """v4 pairs of a conversation, each with all earlier turns."""
    history: list[dict[str, str]] = []
    out = []
    for number, (asked, answer) in enumerate(talk, start=1):
        out.append({
            "id": f"{ident}_turn{number}", "conversation_id": ident, "turn_number": number, "system_prompt": system,
            "conversation_history": list(history), "current_user_input": asked, "target_response": answer,
        })  # fmt: skip
        history += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer or ""}]
    return out


def expected(talk: list[tuple[str, str | None]], system: str = "Be kind.") -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = [{"role": "system", "content": system}]
    for asked, answer in talk:
        out.append({"role": "user", "content": asked})
        out.append({"role": "assistant", "content": answer or "", "weight": int(answer is not None)})
    return out


# --- folding back


def test_the_v4_example_becomes_one_conversation(here: Place) -> None:
    job = load(here, EXAMPLES / "individual.example.json")
    assert {k: job.result[k] for k in ("in", "used", "rejected", "cut")} == {
        "in": 2, "used": 1, "rejected": 0, "cut": 1,
    }  # fmt: skip
    found = only(here)
    example = json.loads((EXAMPLES / "individual.example.json").read_bytes())["training_pairs"]
    talk = [(pair["current_user_input"], pair["target_response"]) for pair in example]
    (row,) = store.rows(here.workspace, found)
    assert row["messages"] == expected(talk, example[0]["system_prompt"])
    assert (row["split"], row["source"]["id"]) == ("train", "educational")
    assert found.system_prompt == example[0]["system_prompt"]
    assert (found.format, found.name) == ("brightrun_lora_v4", "individual.example")
    assert found.counts == {"in": 2, "used": 1, "rejected": 0, "cut": 1}
    assert found.usable


sentence = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
talks = st.lists(
    st.lists(st.tuples(sentence, st.none() | sentence), min_size=1, max_size=5).filter(
        lambda talk: any(answer for _, answer in talk)
    ),
    min_size=1,
    max_size=4,
)


@given(talks, st.randoms(use_true_random=False), st.booleans())
@given_settings(deadline=None, max_examples=60)
def test_folding_back_loses_nothing_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, found: list[list[tuple[str, str | None]]], rng: random.Random, same: bool
) -> None:
    """Even where every conversation has the same id, as long as their first questions differ."""
    opened = [[(f"{n}. {talk[0][0]}", talk[0][1]), *talk[1:]] for n, talk in enumerate(found)]
    all_pairs = [p for n, talk in enumerate(opened) for p in pairs_of(talk, "c" if same else f"c{n}")]
    rng.shuffle(all_pairs)
    spool = Spool(tmp_path_factory.mktemp("spool") / "spool.db")
    for line, pair in enumerate(all_pairs, start=1):
        where = V4.place(pair)
        gid, follows = spool.group(where, line)
        assert spool.add(gid, where.turn, line, V4.slim(pair, history=not follows)) == 0
    folded = [V4.fold(iter(group.bodies)) for group in spool.groups()]
    spool.close()
    key = json.dumps
    assert sorted((f.messages for f in folded), key=key) == sorted((expected(t) for t in opened), key=key)
    assert sum(f.cut for f in folded) == sum(answer is None for talk in opened for _, answer in talk)


def test_turns_that_only_the_history_knows_are_context(here: Place, tmp_path: Path) -> None:
    talk: list[tuple[str, str | None]] = [("one", "1"), ("two", "2"), ("three", "3")]
    pairs = pairs_of(talk)
    load(here, save_lines(tmp_path / "a.jsonl", [pairs[2]]))
    (row,) = store.rows(here.workspace, only(here))
    wanted = expected(talk)
    wanted[2]["weight"] = wanted[4]["weight"] = 0
    assert row["messages"] == wanted


def test_a_turn_that_comes_twice_trains_once(here: Place, tmp_path: Path) -> None:
    pairs = pairs_of([("one", "1"), ("two", "2")])
    job = load(here, save_lines(tmp_path / "a.jsonl", [*pairs, pairs[1], "{broken", {**pairs[0], "turn_number": "1"}]))
    assert (job.result["in"], job.result["used"], job.result["rejected"]) == (5, 2, 3)
    items = report.items(here.db, job.id, outcome="rejected")
    assert [(i.line, i.code, i.field) for i in items] == [
        (3, "duplicate_turn", "turn_number"), (4, "not_json", ""), (5, "wrong_shape", "turn_number"),
    ]  # fmt: skip
    assert only(here).total_training_pairs == 2


def test_an_aggregate_is_read_whatever_the_order_of_its_members(here: Place, tmp_path: Path) -> None:
    pairs = [p for n in range(5) for p in pairs_of([(f"q{n}", "a"), ("more", None)], f"c{n}")]
    path = tmp_path / "full.json"
    path.write_text(json.dumps({"training_pairs": pairs, "consultant_profile": {}, "dataset_metadata": {}}, indent=2))
    job = load(here, path)
    assert (job.result["used"], job.result["cut"], only(here).total_conversations) == (5, 5, 5)


def test_a_file_without_any_answer_gives_no_dataset(here: Place, tmp_path: Path) -> None:
    job = load(here, save_lines(tmp_path / "a.jsonl", pairs_of([("one", None), ("two", None)])))
    assert (job.result["in"], job.result["rejected"], job.result["datasets"]) == (2, 2, [])
    assert report.items(here.db, job.id, outcome="rejected")[0].code == "no_supervised_turn"
    assert store.count(here.db) == 0
    assert list(here.workspace.datasets.iterdir()) == []


# --- chat messages, prompt and completion


def test_chat_messages_with_weights_and_text_parts(here: Place, tmp_path: Path) -> None:
    weighted = chat("q", "a", "q2", "a2", system="S")
    weighted["messages"][2]["weight"] = 0
    parts = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, chat("", "Ho")["messages"][1]]}
    trailing = chat("q", "a", "and?")
    load(here, save_lines(tmp_path / "a.jsonl", [weighted, parts, trailing]))
    rows = store.rows(here.workspace, only(here))
    assert [m.get("weight") for m in rows[0]["messages"]] == [None, None, 0, None, 1]
    assert rows[1]["messages"][0] == {"role": "user", "content": "Hi"}
    assert rows[2]["messages"][-1] == {"role": "assistant", "content": "", "weight": 0}
    assert only(here).total_training_pairs == 3


def test_prompts_train_only_their_completion(here: Place, tmp_path: Path) -> None:
    listed = {"prompt": chat("a", "b", "c")["messages"], "completion": [{"role": "assistant", "content": "d"}]}
    values = [{"prompt": "Q", "completion": "A"}, listed, {"prompt": 1, "completion": "A"}]
    job = load(here, save_lines(tmp_path / "a.jsonl", values))
    rows = store.rows(here.workspace, only(here))
    assert [m.get("weight") for m in rows[1]["messages"]] == [None, 0, None, 1]
    item = report.items(here.db, job.id, outcome="rejected")[0]
    assert (item.line, item.field, item.code) == (3, "prompt", "wrong_shape")


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        (None, "wrong_shape", "messages"),
        ([], "empty_turns", "messages"),
        ([{"role": "system", "content": "S"}], "empty_turns", "messages"),
        (["a"], "wrong_shape", "messages[0]"),
        ([{"role": "tool", "content": "a"}], "unknown_role", "messages[0].role"),
        ([{"role": "assistant", "content": "a"}], "roles_swapped", "messages[0].role"),
        ([{"role": "user", "content": "a"}, {"role": "system", "content": "a"}], "roles_swapped", "messages[1].role"),
        ([{"role": "user", "content": ""}], "empty_content", "messages[0].content"),
        ([{"role": "user", "content": {}}], "wrong_shape", "messages[0].content"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 2}], "bad_weight",
         "messages[1].weight"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": None}], "no_supervised_turn", "messages"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_messages_is_named(value: Any, code: str, field: str) -> None:
    with pytest.raises(AppError) as caught:
        messages.check(value)
    assert (caught.value.code, caught.value.where.field) == (code, field)
    assert caught.value.hint


def test_the_same_conversation_is_used_once(here: Place, tmp_path: Path) -> None:
    job = load(here, save_lines(tmp_path / "a.jsonl", [chat("q", "a"), chat("r", "a"), chat("q", "a")]))
    item = report.items(here.db, job.id, outcome="rejected")[0]
    assert (job.result["used"], item.line, item.code) == (2, 3, "duplicate")
    assert "line 1" in item.message
    assert only(here).validation_errors[0]["line"] == 3


def test_a_conversation_that_grows_from_row_to_row_trains_each_answer_once(here: Place, tmp_path: Path) -> None:
    rows = [chat(*(f"{kind}{n // 2}" for n, kind in zip(range(2 * k), "qa" * k, strict=True))) for k in range(1, 9)]
    job = load(here, save_lines(tmp_path / "a.jsonl", [*rows, rows[3]]))
    assert (job.result["used"], job.result["rejected"]) == (8, 1)
    found = only(here)
    kept = [json.loads(line) for line in store.data_path(here.workspace, found).read_bytes().splitlines()]
    trained = [m["content"] for row in kept for m in row["messages"] if m.get("weight")]
    assert trained == [f"a{n}" for n in range(8)]
    assert found.total_training_pairs + found.total_validation_pairs == 8
    assert any(note.startswith("28 answers were in an earlier row") for note in found.stats["notes"])


def test_a_row_that_is_refused_takes_no_answer_from_a_later_one(here: Place, tmp_path: Path) -> None:
    refused = chat("q", "a", "q2", "a2")
    refused["messages"][2]["content"] = ""
    load(here, save_lines(tmp_path / "a.jsonl", [refused, chat("q", "a"), chat("r", "b")]))
    assert only(here).total_conversations == 2


def test_empty_answers_and_fields_that_are_not_used_are_told(here: Place, tmp_path: Path) -> None:
    rows = [chat(f"q{n}", "a", "and?", "x", "then?") for n in range(5)]
    for row in rows:
        row["messages"][1] |= {"content": None, "tool_calls": [1]}
    load(here, save_lines(tmp_path / "a.jsonl", rows))
    notes = only(here).stats["notes"]
    assert "10 answers are empty: kept as context, not trained on." in notes
    assert "Message fields not used: tool_calls (5)." in notes


def test_an_import_killed_behind_its_dataset_makes_no_second_one(here: Place, tmp_path: Path) -> None:
    path = save_lines(tmp_path / "a.jsonl", [chat(f"q{n}", "a") for n in range(5)] + ["{broken"])
    first = load(here, path)
    log = here.workspace.runs / first.id / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    kinds = [json.loads(line)["type"] for line in lines]
    log.write_bytes(b"".join(lines[: kinds.index("dataset") + 1]))
    with transaction(here.db):
        here.db.execute("update jobs set status = 'interrupted', last_seq = ?", [kinds.index("dataset") + 1])
    job = jobs.claim_next(here.db, jobs.requeue(here.db, first.id).id)
    assert job is not None
    again = run_to_end(here.db, here.workspace, job)
    assert {k: again.result[k] for k in ("in", "used", "rejected")} == {"in": 6, "used": 5, "rejected": 1}
    assert again.result["datasets"] == first.result["datasets"] == [only(here).id]


def test_the_system_message_is_no_turn_of_the_thousand() -> None:
    talk = chat(*("x" for _ in range(1000)), system="S")["messages"]
    assert len(messages.check(talk)) == 1001
    with pytest.raises(AppError, match="1,002 turns"):
        messages.check([*talk, *talk[1:3]])


# --- split, statistics, rows


@pytest.mark.parametrize(
    ("total", "validating"), [(1, 0), (3, 0), (4, 1), (8, 1), (13, 2), (14, 3), (30, 4), (100, 12)]
)
def test_the_split_follows_the_number_of_conversations(total: int, validating: int) -> None:
    split = Split()
    assert len(split.pick(total)) == split.count(total) == validating
    assert split.pick(total) == Split().pick(total)
    assert bool(split.reason(total)) == (validating == 0)


def test_no_validation_share_is_respected_and_said() -> None:
    assert Split(share=0.0).count(100) == 0
    assert "share is 0" in Split(share=0.0).reason(100)
    assert Split(seed=8).pick(100) != Split(seed=7).pick(100)


def test_the_dataset_on_disk_adds_up(here: Place, tmp_path: Path) -> None:
    values = [chat(f"q{n}", "a", "q", "b", system="A" if n % 3 else "B") for n in range(20)]
    load(here, save_lines(tmp_path / "a.jsonl", values))
    found = only(here)
    path = store.data_path(here.workspace, found)
    data = path.read_bytes()
    assert (found.file_size, found.content_hash) == (len(data), hashlib.sha256(data).hexdigest())
    rows = [json.loads(line) for line in data.splitlines()]
    train = [row for row in rows if row["split"] == "train"]
    validation = [row for row in rows if row["split"] == "validation"]
    assert (len(train), len(validation)) == (17, 3)
    assert found.total_conversations == 20
    assert found.total_validation_conversations == 3
    assert (found.total_training_pairs, found.total_validation_pairs) == (34, 6)
    assert found.system_prompt == "A"
    assert sum(bucket["count"] for bucket in found.stats["histogram"]) == 20
    assert store.rows(here.workspace, found, offset=15, limit=10) == rows[15:]
    assert store.rows(here.workspace, found, split="train", offset=2, limit=3) == train[2:5]
    path.with_name("data.index").unlink()
    assert store.rows(here.workspace, found, split="validation") == validation
    assert sorted(p.name for p in path.parent.iterdir()) == ["data.jsonl"]


def test_tokens_are_null_without_a_base_and_exact_with_one(here: Place, tmp_path: Path) -> None:
    path = save_lines(tmp_path / "a.jsonl", [chat(f"Hello {n}", "Good day, how are you?") for n in range(5)])
    load(here, path)
    bare = only(here)
    assert (bare.total_tokens, bare.average_tokens, bare.max_tokens) == (None, None, None)
    assert bare.stats["length_unit"] == "characters"
    assert any("no base model" in note for note in bare.stats["notes"])
    models.upsert(here.db, practice_row())
    settings.put(here.db, "validation_share", 0)
    load(here, path)
    counted = next(d for d in store.listing(here.db) if d.id != bare.id)
    assert counted.name == "a 2"
    base = models.default(here.db)
    assert base is not None
    tokenizer = load_tokenizer(base.path)
    rendered = [tokenizer.render(row["messages"]) for row in store.rows(here.workspace, counted)]
    assert counted.total_tokens == sum(len(r.ids) for r in rendered)
    assert counted.max_tokens == max(len(r.ids) for r in rendered)
    assert counted.stats["supervised_tokens"] == sum(r.supervised for r in rendered)
    assert counted.stats["base_model_id"] == base.id
    assert counted.total_validation_conversations == 0


def test_rename_and_names_that_are_taken(here: Place, tmp_path: Path) -> None:
    for name in ("a", "b"):
        load(here, save_lines(tmp_path / f"{name}.jsonl", [chat(name, "x")]))
    first, second = store.listing(here.db, order_by="name", descending=False)
    with pytest.raises(AppError) as caught:
        store.rename(here.db, first.id, " b ")
    assert caught.value.code == "name_taken"
    with pytest.raises(AppError):
        store.rename(here.db, first.id, " ")
    store.rename(here.db, second.id, "Spring  talks")
    assert store.get(here.db, second.id).name == "Spring talks"
    assert store.count(here.db, search="spring", usable_only=True) == 1


# --- from a training file


def training_file(here: Place, pairs: list[dict[str, Any]]) -> str:
    folder = here.workspace.training_files / "tf" / "v2"
    folder.mkdir(parents=True)
    path = save_lines(folder / "training.jsonl", pairs)
    with transaction(here.db):
        here.db.execute(
            "insert into training_files(id, name, jsonl_file_path, status, version, created_at, updated_at)"
            " values('tf', 'Spring', ?, 'active', 2, ?, ?)",
            [here.workspace.relative(path), now(), now()],
        )
    return "tf"


def test_a_dataset_is_built_from_a_training_file(here: Place) -> None:
    pairs = [p for n in range(14) for p in pairs_of([(f"q{n}", "a"), ("more", "b"), ("last", None)], f"c{n}")]
    ident = training_file(here, pairs)
    job = run_job(here, "build_dataset", {"training_file_id": ident, "name": "Spring"})
    assert job.status == "completed", job.error
    found = only(here)
    assert dict(job.result) == {"dataset_id": found.id, "in": 42, "used": 28, "rejected": 0, "cut": 14}
    assert (found.training_file_id, found.training_file_version, found.format) == ("tf", 2, "brightrun_lora_v4")
    assert (found.total_training_pairs, found.total_validation_pairs) == (22, 6)
    assert found.system_prompt == "Be kind."


def test_what_cannot_be_built_fails_by_name(here: Place) -> None:
    job = run_job(here, "build_dataset", {"training_file_id": "nobody", "name": "A"})
    assert job.error is not None
    assert job.error.code == "no_such_training_file"
    ident = training_file(here, pairs_of([("one", None)]))
    job = run_job(here, "build_dataset", {"training_file_id": ident, "name": "A"})
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", "nothing_to_train")
    assert "Spring" in job.error.message
    job = run_job(here, "build_dataset", {"training_file_id": ident, "name": "A", "base_model_id": "nobody"})
    assert job.error is not None
    assert job.error.code == "no_such_base"


def test_a_large_file_can_be_stopped_and_leaves_nothing(here: Place, tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    with path.open("w") as handle:
        for number in range(200_000):
            handle.write(json.dumps(chat(f"question {number}", "answer")) + "\n")
    token, asked = CancelToken(), []

    def stop(message: Any) -> None:
        if message["type"] == "progress" and message["done"] > 1_000_000 and not asked:
            asked.append(message["done"])
            token.cancel()

    job = load(here, path, listen=stop, token=token)
    assert job.status is jobs.JobState.CANCELLED
    assert asked[0] < path.stat().st_size / 2
    assert store.count(here.db) == 0
    assert list(here.workspace.datasets.iterdir()) == []
