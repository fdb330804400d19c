"""TypeScript: what JavaScript has, and interfaces, types, enums, namespaces, abstract classes, overloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.code_index.languages import javascript
from core.code_index.languages.language import Language, Name

if TYPE_CHECKING:
    from tree_sitter import Node

OWN_QUERY = """
(abstract_class_declaration) @class
(interface_declaration) @interface
(type_alias_declaration) @type
(enum_declaration) @enum
(internal_module) @module
(module) @module
(function_signature) @function
(public_field_definition value: [(arrow_function) (function_expression)]) @function
(ambient_declaration) @wrapper
(extends_clause value: [(identifier) @call (member_expression property: (property_identifier) @call)])
(implements_clause (type_identifier) @call)
(extends_type_clause (type_identifier) @call)
"""
OVERLOADS = frozenset({"function_signature"})


def naming(node: Node, source: bytes) -> Name | None:
    """As in JavaScript; a module that is declared has its name in quotes."""
    found = javascript.naming(node, source)
    return Name(found.own.strip("\"'"), found.owner) if found else None


def _grammar() -> object:
    import tree_sitter_typescript

    return tree_sitter_typescript.language_typescript()


LANGUAGE = Language(
    name="typescript",
    extensions=(".ts", ".mts", ".cts"),
    grammar=_grammar,
    query=javascript.QUERY + OWN_QUERY,
    naming=naming,
    overloads=OVERLOADS,
    test_file=javascript.TEST_FILE,
)
