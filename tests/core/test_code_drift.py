"""How far a code base has moved from what an adapter was trained on."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from core.code_index.records import ParsedFile
from core.projects.examples.symbols import symbols_of
from core.projects.examples.trained import Drift, Snapshot, drift, drift_of
from tests.support.codebase import NOUNS, files, module, parsed


def snapshot(texts: dict[str, str]) -> Snapshot:
    return Snapshot.of((file.hash, file.parsed) for file in parsed(texts))


def looked(before: dict[str, str], after: dict[str, str]) -> tuple[Drift, list[str]]:
    """As a page asks: by the hashes of files, parsing those that changed."""
    now = {file.path: file for file in parsed(after)}
    asked: list[str] = []

    def parse(path: str) -> ParsedFile:
        asked.append(path)
        return now[path].parsed

    return drift_of(snapshot(before), {path: file.hash for path, file in now.items()}, parse), asked


def test_code_that_did_not_change_is_not_even_parsed() -> None:
    found, asked = looked(files(8), files(8))
    assert (found.new, found.changed, found.gone, asked) == (0, 0, 0, [])
    assert found.symbols == sum(len(symbols_of(file.parsed)) for file in parsed(files(8)))
    assert not found.worth_retraining
    assert found.words == "The code is as it was when the adapter was trained."


def test_what_changed_is_told_by_symbol() -> None:
    before = files(8)
    after = dict(before)
    after["shop/order.py"] = after["shop/order.py"].replace("rest = value % 3", "rest = value % 99")
    after["shop/new.py"] = "def brand_new():\n    return 1\n"
    del after["shop/parcel.py"]
    found, asked = looked(before, after)
    assert sorted(asked) == ["shop/new.py", "shop/order.py"]
    # Of order one function and what the file says outside of them did not change; the new file is one function.
    assert (found.new, found.changed, found.gone) == (1, 1, 4)
    assert "2 of 29 symbols are new or changed" in found.words


def test_moving_indenting_and_renaming_files_is_no_change() -> None:
    before = files(4)
    moved = {path.replace("shop/", "store/deep/"): text for path, text in before.items()}
    moved["store/deep/order.py"] = "# A line above.\n\n\n" + moved["store/deep/order.py"].replace("json\n", "json   \n")
    found, _ = looked(before, moved)
    assert (found.new, found.gone) <= (1, 1)
    assert found.share <= 1 / 16


def test_retraining_is_offered_when_a_fifth_is_new_and_not_for_a_handful() -> None:
    before = files(20)
    changed = {path: text if n % 3 else text.replace(" = ", " = 1 + ") for n, (path, text) in enumerate(before.items())}
    found, _ = looked(before, changed)
    assert found.share >= 0.2
    assert found.worth_retraining
    small = {path: text.replace(" = ", " = 1 + ") for path, text in files(2).items()}
    tiny, _ = looked(files(2), small)
    assert tiny.share > 0.5
    assert not tiny.worth_retraining


def test_of_very_many_changed_files_only_some_are_read_and_the_numbers_are_scaled() -> None:
    before = files(20)
    after = {path: text.replace("def ", "def re_") for path, text in before.items()}
    now = {file.path: file for file in parsed(after)}
    asked: list[str] = []

    def parse(path: str) -> ParsedFile:
        asked.append(path)
        return now[path].parsed

    found = drift_of(snapshot(before), {path: file.hash for path, file in now.items()}, parse, most=5)
    whole = drift(snapshot(before), snapshot(after))
    assert len(asked) == 5
    assert found.estimated
    assert abs(found.symbols - whole.symbols) <= 4
    assert abs(found.new - whole.new) <= 4
    assert found.words.startswith("About ")


@given_settings(max_examples=40, deadline=None)
@given(*[st.dictionaries(st.sampled_from(NOUNS), st.integers(0, 3), max_size=6)] * 2)
def test_both_ways_of_counting_agree(one: dict[str, int], two: dict[str, int]) -> None:
    before, after = ({f"{noun}.py": module(noun, seed) for noun, seed in found.items()} for found in (one, two))
    found, _ = looked(before, after)
    assert found == drift(snapshot(before), snapshot(after))
    assert 0.0 <= found.share <= 1.0
    assert drift(snapshot(after), snapshot(after)).share == 0.0


def test_a_snapshot_is_kept_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "trained.json"
    snapshot(files(3)).write(path)
    assert Snapshot.read(path) == snapshot(files(3))
    path.write_bytes(path.read_bytes()[:100])
    assert Snapshot.read(path) is None
    assert Snapshot.read(tmp_path / "missing.json") is None
