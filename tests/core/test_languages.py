"""Of each language one file, and every symbol that is to be found in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.code_index.chunking import in_tests, parse_file
from core.code_index.languages import known, language_of
from core.code_index.records import Chunk
from core.registries import CODE_LANGUAGES
from tests.support.chunk_checks import check

FOLDER = Path(__file__).parents[1] / "fixtures" / "code"

SYMBOLS = {
    "refunds.py": """module refunds.py 1-97 | type Cents 17-17 | class RefundError 20-21 | class Refund 24-62
        class Refund.Meta 33-34 | method Refund.needs_second_approval 36-39 | method Refund.split 41-42
        method Refund.split 44-45 | method Refund.split 47-51 | method Refund.pay 53-62 | function audited 65-72
        function fee_of 77-77 | function fee_of 80-82 | function approve 85-89
        function test_approve_needs_two 92-93""",
    "cart.js": """module cart.js 1-78 | function total 7-12 | function discount 14-19 | class Cart 21-50
        method Cart.constructor 25-28 | method Cart.size 30-32 | method Cart.add 34-41 | method Cart.onChange 43-45
        method Cart.[Symbol.asyncIterator] 47-49 | class CartFullError 52-52 | method storage.load 56-58
        method storage.save 59-61 | method Cart.describe 64-66 | function filled 69-73 | function clear 80-82
        function default 84-86""",
    "stock.ts": """module stock.ts 1-3 | interface Warehouse 5-9 | type Item 11-14 | enum Level 16-20
        function levelOf 22-29 | class Shelf 31-46 | method Shelf.constructor 35-35 | method Shelf.find 38-41
        method Shelf.reorder 43-45 | class StockService 48-59 | method StockService.refresh 55-58
        module Units 61-66 | function Units.boxes 63-65 | module legacy-stock 68-70
        function legacy-stock.read 69-69 | function order 72-74 | class default 76-80 | method default.open 77-79""",
    "Panel.tsx": """module Panel.tsx 1-2 | interface Props 4-7 | function OrderPanel 9-25 | function RefundButton 27-29
        class Boundary 31-39 | method Boundary.componentDidCatch 32-34 | method Boundary.render 36-38""",
    "Ledger.java": """module Ledger.java 1-6 | class Ledger 8-75 | method Ledger.Ledger 15-17 | method Ledger.add 19-25
        method Ledger.iterator 27-37 | method Ledger.size 39-39 | method Ledger.close 41-43 | class Ledger.Entry 45-53
        method Ledger.Entry.Entry 46-48 | method Ledger.Entry.isRefund 50-52 | enum Ledger.Side 55-62
        method Ledger.Side.sign 56-56 | method Ledger.Side.sign 59-61 | interface Ledger.Auditor 64-70
        method Ledger.Auditor.strict 67-69 | interface Ledger.Audited 72-74 | class LedgerTests 77-82
        method LedgerTests.refusesBlankAccounts 78-81""",
    "shipping.go": """module shipping.go 1-24 | struct Parcel 17-21 | type Grams 23-23 | interface Carrier 26-29
        type Handler 31-31 | struct Queue 33-35 | method Queue.Push 37-40 | method Parcel.String 42-42
        function Estimate 44-63 | function onArrival 65-67 | function init 69-71 | function init 73-75""",
    "pricing.rs": """module pricing.rs 1-6 | struct Price 8-13 | struct Cents 15-15 | enum PriceError 17-22
        interface Priced 24-33 | method Priced.is_free 30-32 | impl Price 35-45 | method Price.gross 36-44
        impl Price 47-51 | method Price.from 48-50 | impl Price 53-57 | method Price.fmt 54-56 | type Rates 59-59
        macro price 61-65 | module rounding 67-71 | function rounding.half_up 68-70 | module tests 73-85
        function tests.sample 77-79 | function tests.gross_has_tax 81-84""",
}
IMPORTS = {
    "refunds.py": ["__future__", "logging", "os.path", "dataclasses", "typing", "shop.orders"],
    "cart.js": ["./money.js", "events"],
    "stock.ts": ["./clock", "@shop/core", "./units"],
    "Panel.tsx": ["react", "../Money"],
    "Ledger.java": ["java.util.List", "java.util.function", "java.util.Objects.requireNonNull"],
    "shipping.go": ["context", "time", "example.org/shop/routes"],
    "pricing.rs": ["std::collections::{BTreeMap, HashMap}", "crate::money::Money", "super::*"],
}


def chunks(name: str) -> list[Chunk]:
    return list(parse_file(f"src/{name}", (FOLDER / name).read_bytes()).chunks)


def one(name: str, qualified: str) -> Chunk:
    return next(c for c in chunks(name) if c.qualified == qualified)


def test_every_language_has_a_fixture() -> None:
    assert {language_of(name) for name in SYMBOLS} == set(known())


@pytest.mark.parametrize("name", SYMBOLS)
def test_every_symbol_is_found_where_it_stands(name: str) -> None:
    expected = [entry.strip() for line in SYMBOLS[name].split("\n") for entry in line.split("|")]
    assert [f"{c.kind} {c.qualified} {c.start_line}-{c.end_line}" for c in chunks(name)] == expected


@pytest.mark.parametrize("name", IMPORTS)
def test_imports(name: str) -> None:
    assert list(parse_file(name, (FOLDER / name).read_bytes()).imports) == IMPORTS[name]


@pytest.mark.parametrize(("name", "qualified", "signature"), [
    ("refunds.py", "approve", "def approve(refund: Refund, first: str, second: str | None = None) -> bool"),
    ("refunds.py", "Refund.pay", "async def pay(self, gateway) -> None"),
    ("refunds.py", "Refund", "class Refund"),
    ("cart.js", "total", "export function total(items)"),
    ("cart.js", "storage.save", "save: async (key, items)"),
    ("cart.js", "Cart.describe", "Cart.prototype.describe = function ()"),
    ("stock.ts", "levelOf", "export function levelOf(item: Item): Level"),
    ("stock.ts", "StockService", "export class StockService"),
    ("stock.ts", "order", "const order = async (item: Item, at: Date): Promise<void>"),
    ("Panel.tsx", "RefundButton",
     "export const RefundButton: React.FC<{ onPress(id: string): void }> = ({ onPress })"),
    ("Ledger.java", "Ledger.iterator", "public Iterator<Entry> iterator()"),
    ("shipping.go", "Queue.Push", "func (q *Queue[T]) Push(item T)"),
    ("shipping.go", "Parcel", "Parcel struct"),
    ("pricing.rs", "Price.gross", "pub fn gross(&self) -> Result<Money, PriceError>"),
    ("pricing.rs", "price", "macro_rules! price"),
])  # fmt: skip
def test_signatures_are_one_line(name: str, qualified: str, signature: str) -> None:
    assert one(name, qualified).signature == signature


@pytest.mark.parametrize(("name", "qualified", "doc"), [
    ("refunds.py", "refunds.py", "Refunds of orders: who may approve one, and how much is paid back."),
    ("refunds.py", "Refund", "Money that goes back for an order."),
    ("refunds.py", "Refund.needs_second_approval", "Whether one signature is not enough."),
    ("cart.js", "total", "The total in cents, with discounts."),
    ("cart.js", "Cart.add", "Adds an item unless the cart is full."),
    ("stock.ts", "levelOf", "How full a shelf is."),
    ("Panel.tsx", "OrderPanel", "The list of orders with a button each."),
    ("Ledger.java", "Ledger", "Every payment, in the order in which it came."),
    ("shipping.go", "Estimate", "Estimate says how long it takes.\nIt panics where there is no route."),
    ("shipping.go", "Parcel", "Parcel is what is sent."),
    ("pricing.rs", "Price", "A price before taxes."),
    ("pricing.rs", "Price.gross", "Net and tax together."),
])  # fmt: skip
def test_docs(name: str, qualified: str, doc: str) -> None:
    assert one(name, qualified).doc == doc


@pytest.mark.parametrize(("name", "qualified", "complexity", "references"), [
    ("refunds.py", "approve", 4, {"audited", "exists"}),
    ("refunds.py", "Refund.pay", 5, {"RefundError", "range", "transfer", "warning"}),
    ("refunds.py", "RefundError", 1, {"Exception"}),
    ("cart.js", "discount", 3, {"startsWith", "round"}),
    ("cart.js", "Cart.add", 2, {"CartFullError", "push", "emit"}),
    ("stock.ts", "levelOf", 4, set()),
    ("stock.ts", "Shelf", 1, {"Warehouse"}),
    ("Panel.tsx", "OrderPanel", 3, {"useState", "setOpen", "map", "toggle", "Money", "RefundButton"}),
    ("Ledger.java", "Ledger.add", 3, {"size", "amount", "IllegalStateException", "add"}),
    ("shipping.go", "Estimate", 6, {"Heavy", "Reload", "Find", "Time", "retry", "RouteError"}),
    ("pricing.rs", "Price.gross", 5, {"iter", "find", "Ok", "plus_percent", "clone", "Err", "UnknownCountry"}),
    ("pricing.rs", "Price.fmt", 1, {"write"}),
])  # fmt: skip
def test_complexity_and_what_is_called(name: str, qualified: str, complexity: int, references: set[str]) -> None:
    found = one(name, qualified)
    assert (found.complexity, set(found.references)) == (complexity, references)


def test_a_module_is_found_by_its_constants() -> None:
    constants = {
        "refunds.py": "SECOND_APPROVAL_FROM", "cart.js": "MAX_ITEMS", "shipping.go": "MaxWeight",
        "pricing.rs": "STANDARD_RATE",
    }  # fmt: skip
    for name, constant in constants.items():
        assert constant in chunks(name)[0].text
    assert "MAX_ENTRIES" in one("Ledger.java", "Ledger").text


def test_which_symbols_are_tests() -> None:
    tests = {f"{c.qualified}" for name in SYMBOLS for c in chunks(name) if c.is_test}
    assert tests == {
        "test_approve_needs_two", "LedgerTests.refusesBlankAccounts", "tests", "tests.sample", "tests.gross_has_tax",
    }  # fmt: skip


@pytest.mark.parametrize(("path", "test"), [
    ("tests/core/helpers.py", True), ("src/test_orders.py", True), ("src/orders_test.py", True), ("conftest.py", True),
    ("src/contest.py", False), ("src/latest.py", False), ("web/cart.test.ts", True), ("web/cart.spec.jsx", True),
    ("web/__tests__/cart.js", True), ("web/spectrum.ts", False), ("web/e2e/login.ts", True), ("pkg/a_test.go", True),
    ("pkg/test_a.go", False), ("src/test/java/A.java", True), ("src/OrderTest.java", True), ("src/Contest.java", False),
    ("src/OrderIT.java", True), ("crate/tests/it.rs", True), ("src/tests.rs", True), ("src/attests.rs", False),
    ("docs/tests.md", False), ("Tests/Orders.java", True), ("", False),
])  # fmt: skip
def test_which_files_are_tests(path: str, test: bool) -> None:
    assert in_tests(path, language_of(path)) is test


@pytest.mark.parametrize(("path", "language"), [
    ("a.py", "python"), ("A.PY", "python"), ("a.pyi", "python"), ("a.mjs", "javascript"), ("a.jsx", "javascript"),
    ("a.ts", "typescript"), ("a.d.ts", "typescript"), ("a.tsx", "tsx"), ("a/b.java", "java"), ("a.go", "go"),
    ("a.rs", "rust"), ("README.md", "text"), ("Makefile", "text"), (".py", "text"), ("", "text"), ("a.py/b", "text"),
])  # fmt: skip
def test_the_extension_says_the_language(path: str, language: str) -> None:
    assert language_of(path) == language


def test_a_language_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CODE_LANGUAGES._paths, "stub", "tests.core.test_languages:STUB")
    assert language_of("a.stub") == "stub"
    assert "stub" in known()


@pytest.mark.parametrize(("path", "source", "names"), [
    ("a.js", "describe(() => {\n  function f() {\n    return 1;\n  }\n});\n", ["f"]),
    ("a.js", "export default {\n  data() {\n    a();\n  },\n  methods: {\n    go() {\n      x();\n    },\n  },\n};\n",
     ["data", "methods.go"]),
    ("a.js", "exports.a = async () => {\n  b();\n};\nmodule.exports = function () {\n  c();\n};\n", ["a", "default"]),
    ("a.js", "a['x y'].z = function () {\n};\nif (q) {\n  b = class {\n    m() {\n    }\n  };\n}\n", ["z", "b", "b.m"]),
    ("a.ts", "declare function f(a: string): void;\ndeclare function f(a: number): void;\n", ["f"]),
    ("a.ts", "function f(): void;\nfunction g() {\n}\n", ["f", "g"]),
    ("a.ts", "export = class A {\n};\nabstract class B {\n  abstract x(): void;\n  y = function () {\n  };\n}\n",
     ["B", "B.y"]),
    ("a.py", "try:\n    import x\nexcept E:\n    class x:\n        def m(self):\n            pass\n", ["x", "x.m"]),
    ("a.py", "class A:\n    if True:\n        @staticmethod\n        def m():\n            pass\n", ["A", "A.m"]),
    ("a.go", "package p\n\nfunc (T) M() {\n}\n\nfunc (t *q) N() {\n}\n", ["T.M", "q.N"]),
    ("a.rs", "impl<T> a::B<T> for &C<T> {\n    fn m() {\n    }\n}\nextern \"C\" {\n    fn z();\n}\n", ["C", "C.m"]),
    ("A.java", "class A {\n  static {\n    x();\n  }\n  A() {\n  }\n  <T> void m() {\n  }\n}\n", ["A", "A.A", "A.m"]),
])  # fmt: skip
def test_definitions_in_odd_places(path: str, source: str, names: list[str]) -> None:
    assert [c.qualified for c in check(path, source.encode()).chunks if c.kind != "module"] == names


def _stub() -> object:
    from core.code_index.languages.language import Language, by_field

    return Language("stub", (".stub",), lambda: None, "", by_field)


STUB = _stub()
