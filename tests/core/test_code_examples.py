"""Examples of a code base: what the author wrote and nothing else, each with its place, and every symbol counted."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from core.projects.examples import choose
from core.projects.examples.keys import key_in
from core.projects.examples.make import make
from core.projects.examples.records import SHARES, Example, Limits, Made, What, Why
from core.projects.examples.symbols import symbols_of
from tests.support.codebase import NOUNS, files, module, parsed

FIXTURES = Path(__file__).parents[1] / "fixtures" / "code"
LARGE = Limits(total=10_000, per_file=1_000, most_validation=10_000)


def made(texts: dict[str, str], limits: Limits = LARGE) -> Made:
    return make(parsed(texts), limits)


def code_in(text: str) -> str:
    """What stands in the last fence."""
    blocks = re.findall(r"```\w*\n(.*?)\n```", text, re.DOTALL)
    return str(blocks[-1])


def all_of(found: Made, what: What) -> list[Example]:
    return [example for example in (*found.training, *found.validation) if example.what is what]


def adds_up(found: Made) -> None:
    assert found.symbols == found.used_symbols + found.rejected.total()
    counts = found.counts()
    assert counts["examples"]["in"] == found.kept + sum(counts["examples"]["rejected"].values())
    assert sum(sum(kind.values()) for kind in counts["kinds"].values()) == found.kept


def test_every_example_says_where_it_is_from() -> None:
    texts = files(8)
    found = made(texts)
    hashes = {file.path: file.hash for file in parsed(texts)}
    assert found.kept > 40
    for example in (*found.training, *found.validation):
        place = example.provenance
        assert place["file_hash"] == hashes[place["path"]]
        first, last = place["lines"]
        assert 1 <= first <= last <= texts[place["path"]].count("\n") + 1
        assert place["kind"] in [str(what) for what in What]
        assert place["symbol"]


def test_code_that_is_given_and_its_answer_are_the_source() -> None:
    texts = files(8)
    found = made(texts)
    for what in (What.COMPLETE, What.BODY):
        assert all_of(found, what)
        for example in all_of(found, what):
            lines = texts[example.path].split("\n")[example.start_line - 1 : example.end_line]
            whole = f"{code_in(example.question)}\n{code_in(example.answer)}"
            assert [line for line in whole.split("\n") if line.strip()] == [line for line in lines if line.strip()]


def test_explanations_are_the_authors_words_and_only_those() -> None:
    texts = files(8)
    found = made(texts)
    explained = all_of(found, What.EXPLAIN)
    for example in explained:
        said = example.answer.rpartition("\n\n(")[0]
        source = " ".join(texts[example.path].split())
        assert " ".join(said.split()) in source
    names = {example.symbol for example in explained} | {example.symbol for example in all_of(found, What.DOC)}
    third = {f"{verb}_{noun}" for noun in NOUNS for verb in ("forget", "arrange", "postpone")}
    without = {s.qualified for file in parsed(texts) for s in symbols_of(file.parsed) if not s.doc}
    assert without & third
    assert not names & without
    for example in all_of(found, What.DOC):
        assert code_in(example.answer).startswith('"""')
        assert '"""' not in code_in(example.question)


def test_places_are_those_of_the_names() -> None:
    texts = files(8)
    places = all_of(made(texts), What.WHERE)
    assert places
    for example in places:
        path, line, rest = example.answer.split(":", 2)
        text = texts[path].split("\n")[int(line) - 1]
        assert f"def {example.symbol}(" in text
        assert text.rstrip(":").strip() in rest


def test_a_name_with_several_places_is_not_asked_for() -> None:
    same = "def settle(value):\n    total = value * 2\n    return total + {0}\n"
    found = made({f"part{n}.py": same.format(n) + f"\n\ndef only_{n}(value):\n    return value\n" for n in range(6)})
    asked = " ".join(example.question for example in all_of(found, What.WHERE))
    assert "only_" in asked
    assert "`settle`" not in asked


def test_held_out_files_are_the_validation_split_and_no_training_answer_says_where_they_are() -> None:
    found = made(files(20))
    out = set(found.held_out)
    assert 0 < len(out) < 20
    assert {example.path for example in found.validation} == out
    assert not {example.path for example in found.training} & out
    names = {
        s.name for file in parsed(files(20)) for s in symbols_of(file.parsed) if file.path in out and not s.is_file
    }
    for example in found.training:
        if example.what is What.WHERE:
            assert names.isdisjoint(re.findall(r"\w+", example.answer))


def test_a_training_answer_that_names_something_held_out_is_dropped_and_counted() -> None:
    texts = files(20)
    (out, *_) = made(texts).held_out
    held = next(s.name for file in parsed({out: texts[out]}) for s in symbols_of(file.parsed) if not s.is_file)
    texts["shop/uses.py"] = f"def borrow_everything({held}: int) -> int:\n    total = {held} * 2\n    return total\n"
    found = made(texts)
    assert "shop/uses.py" not in found.held_out
    assert not any("borrow_everything" in e.answer for e in found.training if e.what is What.WHERE)
    assert found.dropped[Why.HELD_OUT] == 1


@given_settings(max_examples=60, deadline=None)
@given(st.sets(st.from_regex(r"[a-z]{1,6}(/[a-z]{1,6}){0,2}\.py", fullmatch=True), max_size=60))
def test_some_files_are_held_out_never_all_and_always_the_same(paths: set[str]) -> None:
    out = choose.held_out(paths, 0.1)
    assert out <= paths
    assert (len(out) >= 1) == (len(paths) >= 2)
    assert len(out) < max(1, len(paths)) or not paths
    # What comes later never puts a file back among those that train, but for the one that stood in for none.
    later = choose.held_out({*paths, "zz/new.py", "zz/newer.py"}, 0.1)
    assert {path for path in out if choose.place_of(path) < 0.1} <= later or len(out) == len(paths) - 1


@given_settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NOUNS), st.integers(0, 12)), min_size=0, max_size=9, unique_by=lambda t: t[0]),
    st.integers(1, 60), st.integers(1, 12),
)  # fmt: skip
def test_counts_add_up_whatever_the_code_and_the_caps(
    modules: list[tuple[str, int]], total: int, per_file: int
) -> None:
    texts = {f"{noun}.py": module(noun, seed) for noun, seed in modules} | {"notes.md": "# Notes\n", "empty.py": "\n"}
    limits = Limits(total=total, per_file=per_file, most_validation=max(1, total // 5))
    found = made(texts, limits)
    adds_up(found)
    assert found.files == len(texts)
    assert sum(found.unused_files.values()) == 2
    kinds = len({example.what for example in found.training})
    assert len(found.training) <= max(total, kinds)
    per = Counter(e.path for e in (*found.training, *found.validation) if e.what is not What.CONVENTION)
    assert not per or max(per.values()) <= per_file
    again = make(reversed(parsed(texts)), limits)
    assert again.training == found.training
    assert again.validation == found.validation


@given_settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(list(What)), st.integers(0, 400), max_size=6), st.integers(1, 500))
def test_no_kind_takes_more_than_its_share(available: dict[What, int], total: int) -> None:
    space = choose.room(available, SHARES, total)
    assert set(space) == {what for what, count in available.items() if count}
    taken = sum(space.values())
    assert taken <= max(total, len(space))
    whole = sum(SHARES[what] for what in space)
    for what, count in space.items():
        assert 1 <= count <= available[what]
        # One more than its share where it is rounded up.
        assert count <= SHARES[what] / min(1.0, whole) * min(total, sum(available.values())) + 1


def test_tests_come_after_what_they_test() -> None:
    tests = {f"tests/test_{noun}.py": module(noun, 40 + n).replace("def ", "def test_") for n, noun in enumerate(NOUNS)}
    few = made({**files(10), **tests}, Limits(total=30, per_file=20)).training
    code = [example for example in few if example.what is not What.CONVENTION]
    assert sum(example.is_test for example in code) < len(code) / 3


def test_what_looks_like_a_key_drops_the_example_and_not_the_file() -> None:
    secret = "Zx9" + "Qw7Rt2Yp4Lk8Jh6Gf3Ds1" + "aBcDeFgH"
    texts = files(8)
    texts["shop/order.py"] += (
        f'\n\ndef connect_to_bank(host):\n    value = "{secret}"\n    checked = host.strip()\n'
        "    return checked, value\n"
    )
    found = made(texts)
    assert found.dropped[Why.KEY] >= 1
    assert not any(secret in e.question + e.answer for e in (*found.training, *found.validation))
    assert any(e.path == "shop/order.py" for e in (*found.training, *found.validation))
    adds_up(found)


@pytest.mark.parametrize(("text", "found"), [
    ("sk-ant-" + "a1B2" * 8, True), ("postgres://admin:hunter2x@db/main", True),
    ("AKIA" + "ABCDEFGH23456722", True), ("value = '" + "0f3a9b7c21de4586" * 3 + "'", True),
    ("def test_the_window_opens_again(qtbot: QtBot) -> None:", False), ("password = os.environ['PASSWORD']", False),
    ("from core.projects.examples.records import CodeFile", False),
    ("https://example.org/a/b:c", False), ("application/vnd.openxmlformats-officedocument", False),
])  # fmt: skip
def test_keys_are_known_by_their_form(text: str, found: bool) -> None:
    assert key_in(text) is found


def test_the_same_and_nearly_the_same_are_used_once() -> None:
    texts = files(8)
    copy = texts["shop/order.py"]
    found = made({**texts, "copies/order.py": copy, "copies/near.py": copy.replace("kept = []", "kept = list()")})
    assert found.dropped[Why.SAME] + found.dropped[Why.ALIKE] >= 4
    answers = Counter(" ".join(e.answer.split()) for e in (*found.training, *found.validation) if e.what is What.BODY)
    assert not answers or max(answers.values()) == 1
    adds_up(found)


def test_what_is_held_out_is_not_trained_on_as_a_copy() -> None:
    texts = files(20)
    (out, *_) = made(texts).held_out
    found = made({**texts, "copies/again.py": texts[out]})
    validated = {" ".join(e.answer.split()) for e in found.validation}
    assert not validated & {" ".join(e.answer.split()) for e in found.training if e.what is not What.WHERE}


def test_longer_than_the_base_reads_is_dropped_and_another_takes_its_room() -> None:
    def measure(example: Example) -> tuple[int, Why | None]:
        return len(example.answer), Why.LONG if len(example.question) > 350 else None

    found = make(parsed(files(12)), Limits(total=30, per_file=50), measure)
    assert all(len(example.question) <= 350 for example in (*found.training, *found.validation))
    assert found.dropped[Why.LONG]
    assert found.tokens == sum(len(example.answer) for example in (*found.training, *found.validation))
    adds_up(found)


def test_conventions_say_their_numbers_and_only_clear_ones_are_said() -> None:
    texts = files(12) | {
        f"tests/test_{noun}.py": f"import pytest\n\n\ndef test_{noun}():\n    assert pytest\n    assert {n}\n"
        for n, noun in enumerate(NOUNS[:9])
    }
    said = made(texts).conventions
    functions = sum(s.kind == "function" for file in parsed(texts) for s in symbols_of(file.parsed))
    assert "Python tests are written with pytest: 9 of 9 test files that import a test library." in said
    assert "Python tests are in the folder tests: 9 of 9." in said
    assert any(f"snake_case (words joined by underscores): {functions} of {functions}." in text for text in said)
    assert "Python errors are raised as ValueError: 12 of 12." in said
    # 24 of 36 are documented: not clear.
    assert not any("documented" in text for text in said)
    assert made(files(4)).conventions == ()


def test_conventions_are_shown_by_files_that_train() -> None:
    found = made(files(12))
    rules = [example for example in found.training if example.what is What.CONVENTION]
    assert rules
    assert not {example.path for example in rules} & set(found.held_out)
    assert all(re.search(r"\d+ of \d+", example.answer) for example in rules)


def test_other_languages_are_taken_apart_too() -> None:
    texts = {path.name: path.read_text("utf-8") for path in sorted(FIXTURES.iterdir()) if path.suffix != ".md"}
    found = made(texts, Limits(total=1_000, per_file=100, validation=0.2))
    adds_up(found)
    code = [e for e in (*found.training, *found.validation) if e.what in (What.COMPLETE, What.BODY)]
    assert {e.language for e in code} >= {"java", "rust", "go", "python"}
    for example in code:
        lines = texts[example.path].split("\n")[example.start_line - 1 : example.end_line]
        whole = (code_in(example.question) + "\n" + code_in(example.answer)).split("\n")
        assert [line.strip() for line in whole if line.strip()] == [line.strip() for line in lines if line.strip()]
    said = {e.symbol: e.answer for e in all_of(found, What.EXPLAIN)}
    assert said["OrderPanel"].startswith("The list of orders with a button each.")
    assert said["Ledger"].startswith("Every payment, in the order in which it came.")
    assert all("eslint" not in answer for answer in said.values())
