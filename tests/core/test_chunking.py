"""Nothing of a file is lost in its chunks, each says what its lines say, what did not change keeps its id and hash."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.code_index.chunking import parse_file
from core.code_index.languages import known, named
from core.code_index.languages.language import Language
from core.code_index.parsing import _loaded
from core.code_index.plain_chunks import weight, weights
from core.code_index.records import Chunk, Kind, joined_text
from core.registries import CODE_LANGUAGES
from tests.support.chunk_checks import check, solid, symbols

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "code").iterdir())
ENDINGS = ("py", "js", "ts", "tsx", "java", "go", "rs", "txt", "md")
EVERY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = (
    "def f(a):", "class A:", "class A {", "function f() {", "export default", "const x = () => {", "async", "}",
    "{", "(", ")", "[", "]", "=>", "impl A for B {", "fn g() -> u8 {", "mod m {", "macro_rules! m {",
    "func (r *R) M() {", "type T", "struct {", "interface I {", "enum E {", "namespace N {", "public void m() {",
    "@decorated", "#[test]", "# note", "// note", "/* open", "*/", "/// doc", "\"\"\"", "'", "\"", "`",
    "return 1", "if x:", "else:", "x = 1;", ";", ",", ":", "...", "<<<<<<< ours", "=======", ">>>>>>> theirs",
    "import a", "use a::b;", "# Title", "```", "---", "\0", "\ufeff", "😀", "größe", "関数", "\u2028", "\x0c",
    "\x85", "    ", "\t", "<div>", "</div>", "${", "\\", "describe('x', () => {",
)  # fmt: skip
BREAKS = ("\n", "\n    ", "\n\n", " ")
SOURCES = st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(BREAKS), st.text(max_size=12)), max_size=80).map(
    "".join
)


@EVERY
@given(source=SOURCES, ending=st.sampled_from(ENDINGS), soft_limit=st.sampled_from((1, 7, 40, 300, 1600)))
def test_nothing_of_any_source_is_lost(source: str, ending: str, soft_limit: int) -> None:
    check(f"src/some.{ending}", source.encode("utf-8", "replace"), soft_limit)


@EVERY
@given(source=SOURCES)
def test_the_lines_of_a_file_weigh_what_each_weighs_alone(source: str) -> None:
    lines = source.encode("utf-8", "replace").decode().split("\n")
    assert weights(lines) == [weight(line) for line in lines]


@EVERY
@given(data=st.binary(max_size=400), ending=st.sampled_from(ENDINGS))
def test_any_bytes_become_chunks(data: bytes, ending: str) -> None:
    check(f"src/some.{ending}", data, 60)


@EVERY
@given(data=st.data(), file=st.sampled_from(FIXTURES), soft_limit=st.sampled_from((50, 200, 1600)))
def test_nothing_is_lost_of_a_file_that_was_cut_apart_and_put_together(
    data: st.DataObject, file: Path, soft_limit: int
) -> None:
    text = file.read_text("utf-8")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=1, max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    mixed = "".join(data.draw(st.permutations(pieces)))
    check(f"src/{file.name}", mixed.encode(), soft_limit)


@pytest.mark.parametrize("file", FIXTURES, ids=lambda f: f.name)
@pytest.mark.parametrize("soft_limit", [30, 120, 800, 1600])
def test_nothing_of_a_fixture_is_lost(file: Path, soft_limit: int) -> None:
    parsed = check(f"src/{file.name}", file.read_bytes(), soft_limit)
    assert not parsed.fallback
    assert not parsed.errors


@pytest.mark.parametrize("file", FIXTURES, ids=lambda f: f.name)
@pytest.mark.parametrize("end", ["\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_line_ends_and_encodings_make_no_difference(file: Path, end: str, encoding: str) -> None:
    text = file.read_text("utf-8")
    plain = parse_file(f"src/{file.name}", text.encode())
    other = parse_file(f"src/{file.name}", text.replace("\n", end).encode(encoding))
    assert other == plain


def test_what_is_not_utf_8_is_read_as_windows_1252_and_one_bad_byte_spoils_nothing() -> None:
    western = "def größe():\n    return 'naïve'\n".encode("latin-1")
    assert check("a.py", western).chunks[0].name == "größe"
    damaged = "def größe():\n    return 'naïve und schön".encode() + b"\xff'\n"
    assert check("a.py", damaged).chunks[0].text.endswith("schön\ufffd'")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("text", ["", "\n", " \t\r\n \x0c\n", "\ufeff"])
def test_a_file_of_blanks_has_no_chunks(ending: str, text: str) -> None:
    assert parse_file(f"a.{ending}", text.encode()).chunks == ()


@pytest.mark.parametrize(("path", "text"), [
    ("a.py", "# one\n# two"), ("a.go", "// one\n/* two */"), ("a.rs", "//! one\n"), ("a.ts", "/** one */"),
    ("a.java", "// one"),
])  # fmt: skip
def test_comments_alone_are_the_module(path: str, text: str) -> None:
    (chunk,) = check(path, text.encode()).chunks
    assert (chunk.kind, chunk.text) == (Kind.MODULE, text.strip())


DEEP = {
    "parens.py": "x = " + "(" * 5000 + "1" + ")" * 5000,
    "lists.js": "x = " + "[\n" * 5000 + "1" + "]\n" * 5000,
    "functions.py": "\n".join("    " * n + f"def f{n}():" for n in range(600)) + "\n" + "    " * 600 + "return 1",
    "functions.js": "\n".join(f"function f{n}() {{" for n in range(600)) + "\n" + "}\n" * 600,
    "objects.js": "const a = " + "{\nb: " * 3000 + "1" + "\n}" * 3000,
    "classes.java": "\n".join(f"class C{n} {{" for n in range(600)) + "\n" + "}\n" * 600,
    "mods.rs": "\n".join(f"mod m{n} {{" for n in range(600)) + "\nfn inner() {}\n" + "}\n" * 600,
    "blocks.go": "package p\nfunc f() {\n" + "{\n" * 3000 + "}\n" * 3000 + "}\n",
    "types.ts": "type A = " + "Array<\n" * 3000 + "number" + ">\n" * 3000 + ";",
    "jsx.tsx": "const a = " + "<b>\n" * 2000 + "</b>\n" * 2000 + ";",
    "chain.js": "a" + ".b()\n" * 20_000,
    "assigned.js": "x={a:" * 40_000 + "1" + "}" * 40_000,
    "sum.rs": "fn f() { " + "a &&\n" * 20_000 + "b }",
    "open.py": "def f():\n  x = " + "(" * 20000,
    "open.rs": "fn f() {" * 5000,
    "quotes.go": "package p\n" + '"' * 30001,
}


@pytest.mark.parametrize("name", DEEP)
def test_however_deep_it_is_nested(name: str) -> None:
    check(name, DEEP[name].encode())
    check(name, DEEP[name].encode(), 100)


LONG_LINES = {
    "string.py": 'x = "' + "a" * 1_000_000 + '"\ny = 1',
    "minified.js": "var a=1;" * 125_000,
    "functions.js": "".join(f"function f{n}(){{return {n}}}" for n in range(20_000)),
    "blanks.go": "package p\nfunc f() {" + " " * 1_000_000 + "x()\n}\n",
    "data.rs": "fn f() { let x = [" + "1, " * 300_000 + "]; }",
    "line.txt": "word " * 200_000,
    "line.md": "# T\n" + "word " * 200_000,
    "line.java": "class A {\n  String s = \"" + "é" * 500_000 + "\";\n  int f() {\n    return 1;\n  }\n}\n",
}  # fmt: skip


@pytest.mark.parametrize("name", LONG_LINES)
def test_a_line_of_a_megabyte_is_cut_within(name: str) -> None:
    parsed = check(name, LONG_LINES[name].encode())
    assert max(len(chunk.text) for chunk in parsed.chunks) <= 4 * 1600
    pieces = [c for c in parsed.chunks if c.start_line == c.end_line]
    assert len(pieces) > 100
    assert not parsed.fallback


def test_many_definitions_are_many_chunks() -> None:
    source = "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(3000)).encode()
    assert len(check("a.py", source).chunks) == 3000


def long_function(statements: int) -> str:
    lines = ["def long(items):"]
    for number in range(statements):
        lines += [
            f"    if items[{number}]:",
            f"        first_{number} = call_{number}(items)",
            f"        keep(first_{number})",
        ]
    return "\n".join(lines) + "\n"


def test_what_is_too_long_is_cut_between_statements() -> None:
    parsed = check("a.py", long_function(60).encode(), 400)
    assert len(parsed.chunks) > 5
    assert {chunk.name for chunk in parsed.chunks} == {"long"}
    for chunk in parsed.chunks[1:]:
        assert chunk.text.startswith("    if items[")
    assert all(solid(chunk.text) >= 150 for chunk in parsed.chunks)
    assert joined_text(parsed.chunks) == long_function(60).rstrip("\n")
    second = parsed.chunks[1]
    assert second.header == f"# a.py | function long | part 2/{second.parts} of def long(items)"
    assert "keep" in second.references
    assert "call_0" not in second.references


def test_a_class_is_a_skeleton() -> None:
    source = (
        "@final\nclass A(B):\n    '''Does things.'''\n\n    limit = 3\n\n    # Opens it.\n    @property\n"
        "    def opened(self):\n        return go(self.limit)\n\n    class Meta:\n        name = 'a'\n\n"
        "    def one(self): return 1\n\n    last = 4\n"
    )
    a, opened, meta, one = check("a.py", source.encode()).chunks
    assert a.text == (
        "@final\nclass A(B):\n    '''Does things.'''\n\n    limit = 3\n\n    def opened(self) ...\n\n"
        "    class Meta ...\n\n    def one(self): return 1\n\n    last = 4"
    )
    assert (a.start_line, a.end_line, a.abridged, a.doc) == (1, 17, True, "Does things.")
    assert opened.text == "    # Opens it.\n    @property\n    def opened(self):\n        return go(self.limit)"
    assert (opened.start_line, opened.qualified, opened.parent, opened.kind) == (7, "A.opened", "A", Kind.METHOD)
    assert (meta.qualified, meta.kind, one.text) == ("A.Meta", Kind.CLASS, "    def one(self): return 1")
    assert "go" not in a.references
    assert not opened.abridged


def test_a_module_has_what_is_outside_and_a_mark_for_what_is_not() -> None:
    source = "import a\nLIMIT = 3\n\n\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n\n\nSECOND = f()\n"
    module, _, _ = check("src/prices.py", source.encode()).chunks
    assert module.text == "import a\nLIMIT = 3\n...\nSECOND = f()"
    assert (module.kind, module.name, module.start_line, module.end_line) == (Kind.MODULE, "prices.py", 1, 13)
    assert module.references == ("f",)


@pytest.mark.parametrize(("path", "name"), [
    ("shop/__init__.py", "shop/__init__.py"), ("ui/cart/index.ts", "cart/index.ts"), ("index.js", "index.js"),
    ("src/prices.rs", "prices.rs"),
])  # fmt: skip
def test_a_module_is_named_by_its_file_and_maybe_its_folder(path: str, name: str) -> None:
    assert check(path, b"x = 1").chunks[0].name == name


def test_a_function_in_a_function_is_its_own_chunk_only_where_both_are_long() -> None:
    inner = "    def inner():\n" + "".join(f"        value_{n} = compute_{n}()\n" for n in range(20))
    short = f"def outer():\n{inner}    return inner\n"
    assert [c.qualified for c in check("a.py", short.encode()).chunks] == ["outer"]
    tiny = "    def tiny():\n        return 1\n"
    outer, nested = check("a.py", f"def outer():\n{tiny}{inner}    return inner\n".encode(), 400).chunks[:2]
    assert "        return 1" in outer.text
    assert "    def inner() ..." in outer.text
    assert (nested.qualified, nested.parent, nested.kind) == ("outer.inner", "outer", Kind.FUNCTION)


def test_definitions_that_share_a_line_are_one_chunk() -> None:
    a, c = check("a.js", b"function a() {} function b() {\n  return 1;\n}\nfunction c() {}\n").chunks
    assert (a.name, a.text, c.name) == ("a", "function a() {} function b() {\n  return 1;\n}", "c")
    assert "b" in a.references


def by_name(chunks: tuple[Chunk, ...] | list[Chunk]) -> dict[str, tuple[str, str]]:
    return {f"{c.kind} {c.qualified} {c.part}": (c.id, c.embed_hash) for c in chunks if c.kind is not Kind.MODULE}


@pytest.mark.parametrize("file", [f for f in FIXTURES if f.suffix != ".md"], ids=lambda f: f.name)
def test_ids_and_hashes_stay_when_only_lines_shift(file: Path) -> None:
    path = f"src/{file.name}"
    comment = b"# moved\n\n" if file.suffix == ".py" else b"// moved\n\n"
    before = parse_file(path, file.read_bytes()).chunks
    after = parse_file(path, comment * 3 + file.read_bytes()).chunks
    assert by_name(list(before)) == by_name(list(after))
    assert [c.start_line + 6 for c in before[1:]] == [c.start_line for c in after[1:]]


def test_ids_stay_when_other_symbols_move_and_change() -> None:
    parts = ["def a():\n    return 1\n", "class B:\n    def m(self):\n        return 2\n", "def c():\n    return 3\n"]
    before = by_name(list(parse_file("a.py", "\n\n".join(parts).encode()).chunks))
    after = by_name(
        list(parse_file("a.py", "\n\n".join([parts[2], "def new(): ...\n", parts[1], parts[0]]).encode()).chunks)
    )
    after.pop("function new 1")
    assert before == after
    changed = by_name(list(parse_file("a.py", "\n\n".join(parts).replace("return 2", "return 4").encode()).chunks))
    assert {name for name in before if before[name] != changed[name]} == {"method B.m 1"}
    assert changed["method B.m 1"][0] == before["method B.m 1"][0]


def test_what_has_the_same_name_has_ids_of_its_own() -> None:
    source = "if A:\n    def f(): return 1\nelse:\n    def f(): return 2\n\ndef f(): return 3\n"
    found = [c for c in check("a.py", source.encode()).chunks if c.name == "f"]
    assert len({c.id for c in found}) == len(found) == 3


def test_the_same_file_elsewhere_has_other_ids() -> None:
    one, other = (parse_file(path, b"def f(): ...").chunks[0] for path in ("a.py", "b.py"))
    assert one.id != other.id
    assert one.embed_hash != other.embed_hash


def test_an_edit_is_few_new_hashes() -> None:
    file = next(f for f in FIXTURES if f.suffix == ".go")
    before = {c.embed_hash for c in parse_file("a.go", file.read_bytes()).chunks}
    after = {c.embed_hash for c in parse_file("a.go", file.read_bytes().replace(b"try < 3", b"try < 4")).chunks}
    assert len(after - before) == 1


def test_syntax_errors_and_conflicts_leave_the_other_symbols() -> None:
    source = (
        "def a():\n    return 1\n\n<<<<<<< ours\ndef b():\n    return 2\n=======\ndef b():\n    return 3\n"
        ">>>>>>> theirs\n\ndef c(:\n    x = = 1\n\nclass D:\n    def m(self):\n        pass\n"
    )
    parsed = check("a.py", source.encode())
    assert parsed.errors
    assert not parsed.fallback
    names = [c.qualified for c in parsed.chunks]
    assert {"a", "m"} <= set(names)
    assert names.count("b") == 2


def test_emoji_and_names_in_other_scripts() -> None:
    source = (
        'const größe = (名前) => {\n  return "😀" + 名前;\n};\nclass Ünï {\n  метод() {\n    größe("👩‍👩‍👧");\n  }\n}\n'
    )
    assert [c.qualified for c in check("a.js", source.encode()).chunks] == ["größe", "Ünï", "Ünï.метод"]


def test_a_zero_byte_is_a_character() -> None:
    parsed = check("a.py", b"def a():\n    return '\0'\n\0\0\ndef b():\n    return 1\n")
    assert {"a", "b"} <= {c.name for c in parsed.chunks}


def test_a_grammar_that_is_missing_is_said_and_the_file_is_cut_by_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "\n".join(f"def f{n}():\n    return {n}" for n in range(50))
    monkeypatch.setitem(CODE_LANGUAGES._resolved, "python", _missing(named("python")))
    parsed = check("a.py", source.encode())
    assert parsed.fallback == "the grammar for python could not be loaded (No module named 'no_such_grammar')"
    assert parsed.language == "python"
    assert {c.kind for c in parsed.chunks} == {Kind.TEXT}


def _missing(language: Language) -> Language:
    def grammar() -> object:
        raise ImportError("No module named 'no_such_grammar'")

    from dataclasses import replace

    return replace(language, grammar=grammar)


def test_a_parse_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from core.code_index import parsing

    monkeypatch.setattr(parsing, "LIMITS", replace(parsing.LIMITS, parse_s=0.05))
    parsed = check("a.rs", b"x" + b'"' * 300_001)
    assert parsed.fallback == "the grammar took longer than 0.05 s"


def test_every_grammar_loads() -> None:
    for name in known():
        assert _loaded(named(name))


def test_text_is_cut_in_windows_that_overlap() -> None:
    lines = [f"line {n}" for n in range(1, 101)]
    parsed = check("notes.txt", "\n".join(lines).encode())
    assert [(c.start_line, c.end_line) for c in parsed.chunks] == [(1, 40), (31, 70), (61, 100)]
    assert {(c.kind, c.name, c.language) for c in parsed.chunks} == {(Kind.TEXT, "notes.txt", "text")}


def test_markdown_is_cut_at_its_headings() -> None:
    file = next(f for f in FIXTURES if f.suffix == ".md")
    parsed = check("docs/guide.md", file.read_bytes())
    assert [(c.name, c.parent, c.start_line) for c in parsed.chunks] == [
        ("guide", "", 1), ("Setext title", "", 5), ("Second approval", "Setext title", 10),
        ("Exceptions", "Setext title > Second approval", 19), ("Second approval", "Setext title", 23),
    ]  # fmt: skip
    assert parsed.chunks[3].qualified == "Setext title > Second approval > Exceptions"
    long = check("a.md", ("# T\n" + "A paragraph of some words.\nIts second line.\n\n" * 60).encode(), 300)
    assert {c.name for c in long.chunks} == {"T"}
    assert all(c.text.startswith("A paragraph") for c in long.chunks[1:])


def test_parts_of_one_symbol_stand_together() -> None:
    parsed = check("a.py", (long_function(30) + "\n\n" + long_function(30).replace("long", "other")).encode(), 300)
    assert [group[0].name for group in symbols(parsed)] == ["long", "other"]
