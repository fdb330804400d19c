"""Rust: functions, types, traits, impl blocks named by their type, macros, modules; attributes lead a definition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.code_index.languages.language import Language, Name, by_field, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_QUERY = """
(function_item) @function
(struct_item) @struct
(union_item) @struct
(enum_item) @enum
(trait_item) @interface
(impl_item) @impl
(type_item) @type
(macro_definition) @macro
(mod_item body: (_)) @module
(attribute_item) @leading
(line_comment) @comment
(block_comment) @comment
(call_expression function: [
  (identifier) @call
  (field_expression field: (field_identifier) @call)
  (scoped_identifier name: (identifier) @call)
  (generic_function function: (identifier) @call)
  (generic_function function: (scoped_identifier name: (identifier) @call))
  (generic_function function: (field_expression field: (field_identifier) @call))])
(macro_invocation macro: (identifier) @call)
(struct_expression name: (type_identifier) @call)
(impl_item trait: [(type_identifier) @call (generic_type type: (type_identifier) @call)
  (scoped_type_identifier name: (type_identifier) @call)])
(use_declaration argument: (_) @import)
["if" "while" "loop"] @branch
(for_expression) @branch
(match_arm) @branch
(binary_expression operator: ["&&" "||"]) @branch
"""
_TYPE = re.compile(r"(\w+)\s*(<.*)?$", re.DOTALL)


def _grammar() -> object:
    import tree_sitter_rust

    return tree_sitter_rust.language()


def _naming(node: Node, source: bytes) -> Name | None:
    if node.type != "impl_item":
        return by_field(node, source)
    # `impl Trait for path::Type<T>` is named Type, as the type itself is.
    found = _TYPE.search(text_of(node.child_by_field_name("type"), source).partition("<")[0].strip())
    return Name(found[1]) if found else None


LANGUAGE = Language(
    name="rust",
    extensions=(".rs",),
    grammar=_grammar,
    query=_QUERY,
    naming=_naming,
    test_file=re.compile(r"^tests?\.rs$|_tests?\.rs$"),
    test_mark=re.compile(r"#\[(cfg\(\s*)?(\w+::)*(test|rstest|proptest|quickcheck|bench)\b"),
)
