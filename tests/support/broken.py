"""Ten files as users really have them, each broken in its own way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.sample import sample_files


def sample_talk(number: int, **changes: Any) -> dict[str, Any]:
    """A sample conversation made different from its origin, so that it is no duplicate."""
    talk = json.loads(sample_files()[number].read_bytes())
    talk["turns"][0]["content"] += f" That is call number {number} this year."
    return {**talk, **changes}


def broken_files(folder: Path) -> list[str]:
    """Write them beside what is in `folder`; returns their names. Needs `good-*.json` there for the duplicate."""
    made = {
        "not_json.json": b"Dear diary, today",
        "wrong_shape.json": json.dumps(sample_talk(6, turns="a text")).encode(),
        "empty_turns.json": json.dumps(sample_talk(7, turns=[])).encode(),
        "swapped.json": json.dumps(sample_talk(8, turns=sample_talk(8)["turns"][1:])).encode(),
        "long_line.jsonl": b'{"turns": "' + b"x" * (50 * 1024 * 1024) + b'"}\n',
        "binary.json": b"\x89PNG\r\n\x00\x00\x01\x02" * 50,
        "unknown_persona.json": json.dumps(
            sample_talk(9, input_parameters={**sample_talk(9)["input_parameters"], "persona_key": "steady_saver"})
        ).encode(),
        "zz_duplicate.json": next(folder.glob("good-*.json")).read_bytes(),
        "truncated.json": json.dumps(sample_talk(10), indent=1)[:-40].encode(),
        "empty.json": b"",
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return list(made)
