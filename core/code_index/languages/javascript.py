"""JavaScript: declarations, functions and classes that are assigned, methods of objects, default exports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.code_index.languages.language import Language, Name, by_field, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

# Shared with TypeScript, whose grammar has these nodes too.
QUERY = """
(function_declaration) @function
(generator_function_declaration) @function
(class_declaration) @class
(method_definition) @function
(variable_declarator name: (identifier)
  value: [(arrow_function) (function_expression) (generator_function)]) @function
(variable_declarator name: (identifier) value: (class)) @class
(variable_declarator name: (identifier) value: (object)) @owner
(assignment_expression right: [(arrow_function) (function_expression) (generator_function)]) @function
(assignment_expression right: (class)) @class
(assignment_expression right: (object)) @owner
(pair value: [(arrow_function) (function_expression) (generator_function)]) @function
(pair value: (object)) @owner
(export_statement value: [(arrow_function) (function_expression) (generator_function)]) @function
(export_statement value: (class)) @class
(export_statement) @wrapper
(decorator) @leading
(comment) @comment
(call_expression function: [(identifier) @call (member_expression property: (property_identifier) @call)])
(new_expression constructor: [(identifier) @call (member_expression property: (property_identifier) @call)])
(import_statement source: (string) @import)
(export_statement source: (string) @import)
(call_expression function: (identifier) @_name arguments: (arguments . (string) @import) (#eq? @_name "require"))
["if" "for" "while" "case" "catch" "&&" "||" "??"] @branch
(ternary_expression) @branch
"""
JSX_QUERY = """
((jsx_opening_element name: (identifier) @call) (#match? @call "^[A-Z]"))
((jsx_self_closing_element name: (identifier) @call) (#match? @call "^[A-Z]"))
"""
_OWN_QUERY = """
(class_heritage [(identifier) @call (member_expression property: (property_identifier) @call)])
(field_definition value: [(arrow_function) (function_expression)]) @function
"""
TEST_FILE = re.compile(r"(\.|-|_)(test|spec|tests|cy|e2e)\.[cm]?[jt]sx?$|^(test|tests)\.[cm]?[jt]sx?$")
_FIELDS = {"pair": "key", "field_definition": "property", "assignment_expression": "left"}
_PLAIN = re.compile(r"[\w$#.]+")
_NO_OWNER = re.compile(r"^(module\.exports|exports|globalThis|window|self|this)(\.|$)")


def naming(node: Node, source: bytes) -> Name | None:
    """The name of a declaration, of what a function is assigned to, "default" for a default export."""
    if node.type == "export_statement":
        return Name("default")
    field = _FIELDS.get(node.type)
    if field is None:
        return _declared(node, source)
    target = node.child_by_field_name(field)
    if target is not None and target.type == "member_expression" and not _PLAIN.fullmatch(text_of(target, source)):
        target = target.child_by_field_name("property")
    text = text_of(target, source).strip("\"'`")
    if node.type == "assignment_expression":
        text = _NO_OWNER.sub("", text).replace(".prototype", "") or "default"
        owner, _, own = text.rpartition(".")
        return Name(own, owner) if own else None
    return Name(text) if text else None


def _declared(node: Node, source: bytes) -> Name | None:
    found = by_field(node, source)
    if found is None:
        return Name("default") if node.type.endswith("_declaration") else None
    return Name(found.own.strip("\"'`"))


def _grammar() -> object:
    import tree_sitter_javascript

    return tree_sitter_javascript.language()


LANGUAGE = Language(
    name="javascript",
    extensions=(".js", ".mjs", ".cjs", ".jsx"),
    grammar=_grammar,
    query=QUERY + JSX_QUERY + _OWN_QUERY,
    naming=naming,
    test_file=TEST_FILE,
)
