"""Java: classes, records, interfaces, enums, annotations, and the methods in them that have a body."""

from __future__ import annotations

import re

from core.code_index.languages.language import Language, by_field

_QUERY = """
(class_declaration) @class
(record_declaration) @class
(interface_declaration) @interface
(annotation_type_declaration) @interface
(enum_declaration) @enum
(method_declaration body: (_)) @function
(constructor_declaration) @function
(compact_constructor_declaration) @function
(line_comment) @comment
(block_comment) @comment
(method_invocation name: (identifier) @call)
(object_creation_expression type: [(type_identifier) @call (generic_type (type_identifier) @call)])
(superclass [(type_identifier) @call (generic_type (type_identifier) @call)])
(type_list [(type_identifier) @call (generic_type (type_identifier) @call)])
(import_declaration [(scoped_identifier) (identifier)] @import)
["if" "for" "while" "case" "catch" "&&" "||"] @branch
(ternary_expression) @branch
"""


def _grammar() -> object:
    import tree_sitter_java

    return tree_sitter_java.language()


LANGUAGE = Language(
    name="java",
    extensions=(".java",),
    grammar=_grammar,
    query=_QUERY,
    naming=by_field,
    test_file=re.compile(r"^(Test\w*|\w*(Test|Tests|TestCase|IT))\.java$"),
    test_mark=re.compile(r"@(\w+\.)*(Test|ParameterizedTest|RepeatedTest|Property)\b"),
)
