"""Go: functions, methods named by their receiver's type, types, functions that are kept in variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.code_index.languages.language import Language, Name, by_field, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_QUERY = """
(function_declaration) @function
(method_declaration) @function
(type_spec type: (struct_type)) @struct
(type_spec type: (interface_type)) @interface
(type_spec type: [(type_identifier) (qualified_type) (pointer_type) (function_type) (map_type) (slice_type)
  (array_type) (channel_type) (generic_type)]) @type
(type_alias) @type
(var_spec value: (expression_list (func_literal))) @function
(short_var_declaration right: (expression_list (func_literal))) @function
(comment) @comment
(call_expression function: [(identifier) @call (selector_expression field: (field_identifier) @call)])
(composite_literal type: [(type_identifier) @call (qualified_type name: (type_identifier) @call)])
(import_spec path: (_) @import)
["if" "for" "case" "&&" "||"] @branch
"""
_RECEIVER = re.compile(r"^\(\s*(?:\w+\s+)?\*?\s*(\w+)")


def _grammar() -> object:
    import tree_sitter_go

    return tree_sitter_go.language()


def _naming(node: Node, source: bytes) -> Name | None:
    if node.type == "short_var_declaration":
        left = text_of(node.child_by_field_name("left"), source)
        return Name(left) if left.isidentifier() else None
    found = by_field(node, source)
    if found is not None and node.type == "method_declaration":
        receiver = _RECEIVER.match(text_of(node.child_by_field_name("receiver"), source))
        return Name(found.own, receiver[1] if receiver else "")
    return found


LANGUAGE = Language(
    name="go",
    extensions=(".go",),
    grammar=_grammar,
    query=_QUERY,
    naming=_naming,
    test_file=re.compile(r"_test\.go$"),
)
