from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.conversations import store
from core.conversations.parse import parse
from core.errors import AppError
from core.reading import encoding, report
from core.reading.records import Broken, Record, layout, records
from tests.core.factories import Place, load, raw

# --- text


@pytest.mark.parametrize(
    ("codec", "mark"),
    [
        ("utf-8-sig", b""), ("utf-16", b""), ("utf-16-le", b""), ("utf-16-be", b""), ("utf-32", b""),
        ("utf-32-le", b""), ("utf-8", b""), ("utf-16-be", b"\xfe\xff"), ("cp1252", b""),
    ],
)  # fmt: skip
def test_encodings_and_line_ends_are_read_with_a_note(here: Place, source: Path, codec: str, mark: bytes) -> None:
    content = json.dumps(raw(1, title="Größe “é”"), indent=1, ensure_ascii=False)
    data = mark + content.replace("→", "to").replace("\n", "\r\n").encode(codec)
    (source / "a.json").write_bytes(data)
    job = load(here, source)
    (found,) = store.listing(here.db)
    assert found.title == "Größe “é”"
    assert here.workspace.absolute(found.raw_response_path or "").read_bytes() == data
    notes = " ".join(found.import_notes)
    assert "CRLF" in notes
    if codec != "utf-8":
        assert "read as" in notes.lower()
    assert notes in report.items(here.db, job.id)[0].message


@pytest.mark.parametrize(
    ("codec", "text", "name"),
    [
        ("cp1251", "Я хочу закрыть ипотеку раньше срока", "Cyrillic (Windows-1251)"),
        ("koi8_r", "Привет, как дела? Я хочу закрыть ипотеку раньше", "Cyrillic (KOI8-R)"),
        ("cp1253", "Θέλω να κλείσω το δάνειο νωρίτερα", "Greek (Windows-1253)"),
        ("cp932", "住宅ローンを早く返したいのですが、お金が心配です", "Japanese (Shift JIS)"),
        ("gb18030", "我想早点还清房贷，但是很担心", "Chinese (GB 18030)"),
        ("cp1252", "I paid €500 for the résumé", "latin-1 (Windows-1252)"),
        ("cp1252", "Größe", "latin-1 (Windows-1252)"),
        ("cp1252", "Hän ei löydä rahaa lääkäriin", "latin-1 (Windows-1252)"),
    ],
)  # fmt: skip
def test_the_code_page_of_a_file_that_is_not_unicode_is_recognised(
    here: Place, source: Path, codec: str, text: str, name: str
) -> None:
    content = json.dumps(raw(1, title=text), ensure_ascii=False).replace("→", "to")
    (source / "a.json").write_bytes(content.encode(codec))
    load(here, source)
    (found,) = store.listing(here.db)
    assert found.title == text
    assert name in " ".join(found.import_notes)


def test_lines_in_utf16_and_old_mac_lines_are_lines(here: Place, source: Path) -> None:
    (source / "a.jsonl").write_bytes("\r\n".join(json.dumps(raw(n)) for n in range(3)).encode("utf-16"))
    (source / "b.jsonl").write_bytes(b"\r".join(json.dumps(raw(n)).encode() for n in range(3, 6)))
    assert load(here, source).result["used"] == 6


def test_one_damaged_byte_does_not_turn_a_utf8_file_into_latin1(here: Place, source: Path) -> None:
    lines = [json.dumps(raw(n, title=f"Größe {n}"), ensure_ascii=False).encode() for n in range(3)]
    lines[1] = lines[1].replace(b"Gr", b"\xff\xfe")
    (source / "a.jsonl").write_bytes(b"\n".join(lines))
    job = load(here, source)
    assert {c.title for c in store.listing(here.db)} == {"Größe 0", "Größe 2"}
    (item,) = report.items(here.db, job.id, outcome="rejected")
    assert (item.line, item.code) == (2, "not_json")
    assert "UTF-8" in item.message


def decoded(data: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        return b"".join(encoding.utf8_blocks(path, encoding.detect(path))).decode("utf-8", "replace")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1))
@settings(deadline=None)
def test_text_survives_every_encoding_with_a_mark(content: str) -> None:
    for codec in ("utf-8-sig", "utf-16", "utf-32"):
        assert decoded(content.encode(codec)) == content
    assert decoded(content.encode()) == content.removeprefix("\ufeff")


@given(st.binary(min_size=1, max_size=200))
@settings(deadline=None)
def test_any_bytes_are_text_or_an_error_that_says_so(data: bytes) -> None:
    try:
        found = decoded(data)
    except AppError as error:
        assert error.code in ("binary_file", "damaged_text")  # noqa: PT017
    else:
        assert isinstance(found, str)


# --- records

words = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(words, json_values, min_size=1, max_size=4)


@given(st.lists(objects, min_size=2, max_size=6), st.sampled_from([None, 1]), st.sampled_from([5, 64]), st.booleans())
@settings(deadline=None)
def test_every_element_of_a_document_comes_out_whole(
    values: list[Any], indent: int | None, block: int, wrapped: bool
) -> None:
    values = [{"turns": 0, **{k: v for k, v in value.items() if k != "training_pairs"}} for value in values]
    document = {"a": [1, {"training_pairs": 2}], "training_pairs": values, "z": "}"} if wrapped else values
    data = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK", block)
        path = Path(folder, "a.json")
        path.write_bytes(data)
        read_as = encoding.detect(path)
        shape = layout(path, read_as)
        found = list(records(path, read_as, shape))
        assert [r.value for r in found if isinstance(r, Record)] == values
        assert len(found) == len(values)
        cut = path.with_name("cut.json")
        cut.write_bytes(data[: len(data) * 2 // 3])
        pieces = list(records(cut, read_as, shape))
        assert isinstance(pieces[-1], Broken)
        assert [p.value for p in pieces if isinstance(p, Record)] == values[: len(pieces) - 1]


# --- the place of a fault


@pytest.mark.parametrize(
    ("over", "code", "field"),
    [
        ({"turns": [{"role": "user", "content": " "}]}, "empty_content", "turns[0].content"),
        ({"turns": [{"role": "user", "content": None}]}, "empty_content", "turns[0].content"),
        ({"turns": [{"role": "user", "content": ["a"]}]}, "wrong_shape", "turns[0].content"),
        ({"turns": [{"role": "client", "content": "a"}]}, "unknown_role", "turns[0].role"),
        ({"turns": [{"content": "a"}]}, "unknown_role", "turns[0].role"),
        ({"turns": [{"role": ["user"], "content": "a"}]}, "unknown_role", "turns[0].role"),
        ({"turns": ["a"]}, "wrong_shape", "turns[0]"),
        ({"turns": [{"role": "user", "content": "a"}, {"role": "assistant"}]}, "empty_content", "turns[1].content"),
        ({"turns": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "roles_swapped",
         "turns[1].role"),
        ({"turns": [{"role": "user", "content": "a"}], "input_parameters": []}, "wrong_shape", "input_parameters"),
    ],
)  # fmt: skip
def test_the_place_of_a_fault_is_named(over: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(AppError) as caught:
        parse({"title": "T", **over})
    assert (caught.value.code, caught.value.where.field) == (code, field)
    assert caught.value.hint


def test_what_is_odd_but_usable_is_noted() -> None:
    found = parse({"turns": [{"role": "user", "content": "word " * 40}], "tier": "gold"})
    assert [turn.role for turn in found.turns] == ["user", "assistant"]
    assert found.turns[1].content is None
    assert found.title.endswith("…")
    notes = " ".join(found.notes)
    for word in ("gold", "title", "input_parameters", "turn (1)"):
        assert word in notes
