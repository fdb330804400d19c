from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import registries
from core.errors import AppError, Where
from core.registry import Registry
from core.workers import protocol


def test_errors_survive_the_way_through_json() -> None:
    error = AppError("x", "Broken.", hint="Mend it.", where=Where("a.json", 3, "turns[1]"), action="page:data")
    again = AppError.from_json(error.to_json())
    assert str(again) == "a.json, line 3, turns[1]: Broken."
    assert again.to_json() == error.to_json()


def test_an_entry_is_replaced_in_its_place_and_resolved_on_use() -> None:
    things: Registry[object] = Registry("thing", {"a": "math:pi", "b": "math:e"})
    things.register("a", "math:tau")
    assert things.names() == ["a", "b"]
    assert dict(things.items())["a"] == pytest.approx(6.283, abs=1e-3)
    things.register("c", "nowhere:at_all")
    with pytest.raises(AppError, match="nowhere:at_all"):
        things.get("c")
    with pytest.raises(AppError, match="no thing named"):
        things.get("d")


def test_a_snapshot_restores_what_another_process_registered() -> None:
    things: Registry[object] = Registry("snap_thing", {"a": "math:pi"})
    things.register("b", "math:e")
    data = registries.snapshot()
    things.unregister("b")
    registries.restore(data)
    assert things.names() == ["a", "b"]


@given(st.dictionaries(st.text(min_size=1).filter(lambda k: k not in {"v", "id", "type"}), st.text()))
def test_messages_survive_encoding(fields: dict[str, str]) -> None:
    line = protocol.encode("j", "log", fields)
    assert line.count(b"\n") == 1
    assert protocol.decode(line) == {"v": protocol.VERSION, "id": "j", "type": "log", **fields}


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"v":1}', b'{"v":2,"type":"x"}', b"\xff\xfe"])
def test_anything_else_is_a_protocol_error(line: bytes) -> None:
    with pytest.raises(AppError) as caught:
        protocol.decode(line)
    assert caught.value.code == "protocol_error"


def test_a_torn_last_event_is_cut_and_numbering_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = protocol.EventLog(path)
    for step in range(3):
        log.append("j", "metric", {"step": step})
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"v":1,"id":"j","ty')
    again = protocol.EventLog(path)
    again.append("j", "metric", {"step": 3})
    again.close()
    events = [message for message, _ in protocol.read_events(path)]
    assert [(e["seq"], e["step"]) for e in events] == [(1, 0), (2, 1), (3, 2), (4, 3)]
