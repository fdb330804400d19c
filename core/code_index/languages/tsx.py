"""TypeScript with JSX: a grammar of its own in the same wheel."""

from __future__ import annotations

from core.code_index.languages import javascript, typescript
from core.code_index.languages.language import Language


def _grammar() -> object:
    import tree_sitter_typescript

    return tree_sitter_typescript.language_tsx()


LANGUAGE = Language(
    name="tsx",
    extensions=(".tsx",),
    grammar=_grammar,
    query=javascript.QUERY + javascript.JSX_QUERY + typescript.OWN_QUERY,
    naming=typescript.naming,
    overloads=typescript.OVERLOADS,
    test_file=javascript.TEST_FILE,
)
