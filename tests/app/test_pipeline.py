"""The line without a window, as a user runs it: a process, its lines, its exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.db.connection import connect
from core.sample import sample_files
from core.training.publish import read_published
from core.workspace.lock import FileLock
from core.workspace.paths import resources, source_root
from tests.support.broken import broken_files
from tests.support.hf_model import write_hf_model
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.slow

QUICK = ("--set", "max_steps=3", "--set", "batch_size=2", "--set", "rank=4")
# Thousands of steps: no machine is through before it is stopped.
LONG = ("--set", "epochs=20", "--set", "batch_size=1", "--set", "rank=4")


def command(workspace: Path, *args: object) -> list[str]:
    return [sys.executable, "-m", "app", "pipeline", "--workspace", str(workspace), *map(str, args)]


def pipeline(workspace: Path, *args: object) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(command(workspace, *args), cwd=source_root(), capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def report(lines: list[dict[str, Any]]) -> dict[str, Any]:
    assert lines[-1]["type"] == "report"
    assert lines[-1]["in"] == lines[-1]["used"] + lines[-1]["rejected"] + lines[-1]["cut"]
    assert lines[-1]["adds_up"] is True
    return lines[-1]


def test_the_sample_goes_all_the_way_and_both_answer(tmp_path: Path) -> None:
    code, lines = pipeline(
        tmp_path / "w", *QUICK, "--name", "planner", "--ask", "What is one small step?",
        resources() / "sample" / "conversations",
    )  # fmt: skip
    final = report(lines)
    assert (code, final["in"], final["used"], final["reasons"]) == (0, 24, 24, [])
    adapter = final["adapters"][0]
    assert adapter["answers"]["base"]
    assert adapter["answers"]["adapter"]
    published = read_published(Path(adapter["path"]))
    assert published.passport["loss_before"] == adapter["loss_before"]
    assert published.passport["hyperparameters"]["max_steps"] == 3
    kinds = {line["type"] for line in lines}
    assert {"job", "progress", "metric", "report"} <= kinds
    db = connect(tmp_path / "w" / "workspace.db")
    assert {r["status"] for r in db.execute("select status from jobs").fetchall()} == {"completed"}
    stages = db.execute("select stage, count(*) as n from enrichment_stages group by stage").fetchall()
    assert [r["n"] for r in stages] == [24] * 5
    db.close()


def test_ten_broken_files_are_named_and_the_good_ones_train(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in sample_files()[:6]:
        shutil.copy(path, source / f"good-{path.name}")
    expected = broken_files(source)
    code, lines = pipeline(tmp_path / "w", *QUICK, source)
    final = report(lines)
    assert code == 3
    named = {Path(r["file"]).name for r in final["reasons"]}
    assert set(expected) <= named | {""}, set(expected) - named
    assert all(r["message"] and r["hint"] for r in final["reasons"])
    assert final["used"] >= 6


def test_a_chat_file_and_a_base_of_ones_own_enter_further_down(tmp_path: Path) -> None:
    base = write_hf_model(tmp_path / "My base")
    talks = tmp_path / "talks.jsonl"
    with talks.open("w") as handle:
        for n in range(20):
            turns = [
                {"role": "user", "content": f"Say {n}"},
                {"role": "assistant", "content": f"It is {n}, as you said."},
            ]
            handle.write(json.dumps({"messages": turns}) + "\n")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        "".join(json.dumps({"prompt": f"Count {n}", "completion": f"{n}, {n + 1}"}) + "\n" for n in range(9))
    )
    code, lines = pipeline(tmp_path / "w", *QUICK, "--base", base, "--ask", "Say 3", talks, pairs)
    final = report(lines)
    assert (code, final["in"], final["used"]) == (0, 29, 29)
    assert [a["base"] for a in final["adapters"]] == ["My base", "My base"]
    assert any("rope" in str(line) for line in lines) or final["adapters"][0]["answers"]["base"] is not None


def test_nothing_usable_is_exit_1(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    code, lines = pipeline(tmp_path / "w", bad, tmp_path / "missing.json")
    final = report(lines)
    assert (code, final["in"], final["rejected"]) == (1, 2, 2)


@pytest.mark.parametrize(
    "args",
    [[], ["--set", "epochs", "x"], ["--set", "epochs=99", "x"], ["--set", "speed=1", "x"], ["--preset", "slow", "x"]],
)
def test_usage_is_exit_2_and_says_what_is_known(tmp_path: Path, args: list[str]) -> None:
    code, lines = pipeline(tmp_path / "w", *args)
    assert code == 2
    assert lines[-1]["type"] == "error"
    assert lines[-1]["hint"]
    assert not (tmp_path / "w").exists()


def test_a_workspace_that_is_open_elsewhere_is_exit_2(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with FileLock(tmp_path / "w" / ".lock"):
        code, lines = pipeline(tmp_path / "w", sample_files()[0])
    assert code == 2
    assert lines[-1]["code"] == "workspace_locked"
    assert str(os.getpid()) in lines[-1]["message"]


def test_the_same_files_again_are_used_as_they_are(tmp_path: Path) -> None:
    assert pipeline(tmp_path / "w", *QUICK, "--name", "a", *sample_files()[:5])[0] == 0
    db = connect(tmp_path / "w" / "workspace.db")
    with db.conn:
        db.execute("update conversations set status = 'rejected' where rowid = 1")
    twin = tmp_path / "twin.json"
    shutil.copy(sample_files()[1], twin)
    code, lines = pipeline(tmp_path / "w", *QUICK, "--name", "b", *sample_files()[:5], twin)
    final = report(lines)
    assert (code, final["in"], final["used"], final["rejected"]) == (3, 6, 4, 2)
    assert {r["code"] for r in final["reasons"]} == {"duplicate", "rejected_in_review"}
    assert db.execute("select count(*) from conversations").fetchone()[0] == 5
    assert "enrich" not in {line.get("job") for line in lines}


def test_after_kill_9_in_training_the_same_command_goes_on(tmp_path: Path) -> None:
    chats = talks(tmp_path / "chats.jsonl", 60)
    args = (*QUICK[2:], "--set", "epochs=5", "--set", "checkpoint_every=4", "--name", "a", chats)
    process = subprocess.Popen(
        command(tmp_path / "w", *args), cwd=source_root(), stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        seen = json.loads(line)
        if seen["type"] == "metric" and seen["step"] >= 6:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    code, lines = pipeline(tmp_path / "w", *args)
    final = report(lines)
    steps = final["adapters"][0]["steps"]
    assert (code, final["used"]) == (0, 60)
    assert min(line["step"] for line in lines if line["type"] == "metric") > 2
    db = connect(tmp_path / "w" / "workspace.db")
    assert [r["status"] for r in db.execute("select status from jobs where kind = 'training'")] == ["completed"]
    assert [r["step"] for r in db.execute("select step from metrics_points order by step")] == list(range(steps + 1))


def test_a_run_of_another_name_is_not_gone_on_with(tmp_path: Path) -> None:
    for status, error in (("cancelled", None), ("failed", '{"code": "disk_full", "message": "Full"}')):
        folder = tmp_path / status
        args = (*QUICK, sample_files()[0])
        assert pipeline(folder, *args, "--name", "alpha")[0] == 0
        db = connect(folder / "workspace.db")
        with db.conn:
            db.execute("update jobs set status = ?, error = ? where kind = 'training'", [status, error])
        code, lines = pipeline(folder, *args, "--name", "beta")
        assert (code, report(lines)["adapters"][0]["name"]) == (0, "beta")
        assert pipeline(folder, *args, "--name", "alpha")[0] == 0
        runs = db.execute("select t.name, j.status from training_jobs t join jobs j on j.id = t.id order by 1")
        assert [tuple(row) for row in runs.fetchall()] == [("alpha", "completed"), ("beta", "completed")]


def talks(path: Path, count: int, word: str = "Say") -> Path:
    turns = [
        [{"role": "user", "content": f"{word} {n}"}, {"role": "assistant", "content": f"It is {n}."}]
        for n in range(count)
    ]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in turns))
    return path


def test_v4_pairs_are_counted_in_pairs_to_the_end(tmp_path: Path) -> None:
    file = tmp_path / "v4.jsonl"
    with file.open("w") as handle:
        for talk in range(4):
            history: list[dict[str, str]] = []
            for turn in range(1, 5):
                answer = None if (talk, turn) == (0, 2) else f"Answer {talk} {turn}. " + "More. " * (talk * 40)
                pair = {
                    "conversation_id": f"c{talk}", "turn_number": turn, "conversation_history": list(history),
                    "current_user_input": f"Question {talk} {turn}", "target_response": answer,
                }  # fmt: skip
                handle.write(json.dumps(pair) + "\n")
                history += [
                    {"role": "user", "content": pair["current_user_input"]},
                    {"role": "assistant", "content": answer or ""},
                ]
    code, lines = pipeline(tmp_path / "w", *QUICK, "--set", "max_seq_length=480", file)
    final = report(lines)
    assert (code, final["in"]) == (3, 16)
    assert final["cut"] == 1 + 4 * sum(r["code"] == "too_long" for r in final["reasons"])
    assert 1 < final["cut"] < 16
    assert {r["code"] for r in final["reasons"]} == {"no_answer", "too_long"}
    assert all(r["hint"] for r in final["reasons"])


def test_conversations_that_can_not_be_trained_on_do_not_stop_a_dataset(tmp_path: Path) -> None:
    raw = json.loads(sample_files()[0].read_text())
    raw["turns"][0]["content"] += " <|end|>"
    (tmp_path / "special.json").write_text(json.dumps(raw))
    code, lines = pipeline(tmp_path / "w", *QUICK, tmp_path / "special.json", talks(tmp_path / "good.jsonl", 3))
    final = report(lines)
    assert (code, final["in"], final["used"], final["rejected"]) == (3, 4, 3, 1)
    assert "special_token_in_text" in {r["code"] for r in final["reasons"]}
    assert [a["name"] for a in final["adapters"]] == ["good"]


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    assert pipeline(tmp_path / "w", *QUICK, "--name", "a/../b.json", *sample_files()[:1])[0] == 0
    code, lines = pipeline(tmp_path / "w", *QUICK, "--name", "a/../b.json", *sample_files()[1:2])
    assert (code, report(lines)["used"]) == (0, 1)


def test_a_base_that_moved_away_is_named_with_its_place(tmp_path: Path) -> None:
    base = write_hf_model(tmp_path / "base")
    assert pipeline(tmp_path / "w", *QUICK, "--base", base, talks(tmp_path / "a.jsonl", 2))[0] == 0
    base.rename(tmp_path / "moved")
    code, lines = pipeline(tmp_path / "w", *QUICK, "--base", base, talks(tmp_path / "b.jsonl", 2, "Tell"))
    assert code == 1
    (error,) = [line for line in lines if line["type"] == "error"]
    assert f"{base} is not a base model: there is no such folder" in error["message"]


def test_a_base_comes_back_when_the_models_cache_was_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIGHTRUN_MODELS", str(tmp_path / "cache"))
    base = write_hf_model(tmp_path / "base")
    assert pipeline(tmp_path / "w", *QUICK, "--base", base, talks(tmp_path / "a.jsonl", 2))[0] == 0
    shutil.rmtree(tmp_path / "cache")
    assert pipeline(tmp_path / "w", *QUICK, "--base", base, talks(tmp_path / "b.jsonl", 2, "Tell"))[0] == 0


def test_a_reader_that_leaves_stops_the_run_in_order(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path / "w", *QUICK, *sample_files()[:2]), cwd=source_root(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE_S) == 1
    assert "Traceback" not in said
    db = connect(tmp_path / "w" / "workspace.db")
    assert not db.execute("select 1 from jobs where status in ('queued', 'initializing', 'running')").fetchone()
    db.close()


def test_a_file_name_that_is_not_utf_8_is_rejected_and_the_others_train(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    talks(folder / "new\nline \U0001f600.jsonl", 2)
    try:
        shutil.copy(talks(tmp_path / "x.jsonl", 2, "Other"), os.fsencode(folder) + b"/bad\xff.jsonl")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    code, lines = pipeline(tmp_path / "w", *QUICK, folder, os.fsdecode(os.fsencode(folder) + b"/bad\xff.jsonl"))
    final = report(lines)
    assert (code, final["in"], final["used"]) == (3, 4, 2)
    assert [r["code"] for r in final["reasons"]] == ["bad_file_name"] * 2


def test_lines_are_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path / "w", tmp_path / "\U0001f600 missing.json"), cwd=source_root(), capture_output=True,
        check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, report(lines)["rejected"]) == (1, 1)
    assert lines[-1]["reasons"][0]["file"].endswith("\U0001f600 missing.json")


def test_a_workspace_deleted_underneath_is_said_so(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path / "w", *QUICK, *sample_files()[:2]), cwd=source_root(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if '"training","title"' in line or '"job":"training"' in line:
            break
    (tmp_path / "w" / "workspace.db").unlink()
    lines = [json.loads(line) for line in process.stdout]
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 1
    assert report(lines)["rejected"] == 2
    assert "workspace_gone" in {line.get("code") for line in lines}


def test_ctrl_c_reaches_the_worker_too_and_it_still_leaves_a_checkpoint(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path / "w", *LONG, talks(tmp_path / "a.jsonl", 400)),
        cwd=source_root(), stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if '"train_loss"' in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    lines = [json.loads(line) for line in process.stdout]
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 1
    report(lines)
    db = connect(tmp_path / "w" / "workspace.db")
    row = db.execute("select id, status from jobs where kind = 'training'").fetchone()
    db.close()
    assert row["status"] == "cancelled"
    assert list((tmp_path / "w" / "runs" / row["id"] / "checkpoints").iterdir())


def test_stopped_by_a_signal_it_leaves_in_order(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path / "w", *LONG, talks(tmp_path / "a.jsonl", 400)),
        cwd=source_root(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if '"metric"' in line:
            break
    process.send_signal(signal.SIGTERM)
    lines = [json.loads(line) for line in process.stdout]
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 1
    report(lines)
    db = connect(tmp_path / "w" / "workspace.db")
    row = db.execute("select status from jobs where kind = 'training'").fetchone()
    assert row["status"] == "cancelled"
    db.close()
