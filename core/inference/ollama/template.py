"""A chat template in Ollama's language, found out from what the base's own makes of conversations.

Ollama's templates are Go's. Most chat templates put fixed texts around what is said; those are read off by rendering
conversations with marks in them, and the result is tried on others. One that does more has no translation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Talk = Sequence[Mapping[str, str]]
# The text of a conversation, with the header of the answer to come or without.
Render = Callable[[Talk, bool], str]
_MARKS = {"system": "zqsys", "user": "zqusr", "assistant": "zqast"}


@dataclass(frozen=True)
class Pieces:
    """The texts around what is said: before a system message, between it and the first question, before a first
    question without one, between question and answer, between an answer and the next question, before the answer."""

    system: str
    after_system: str
    first: str
    to_answer: str
    to_question: str
    header: str

    def text(self, talk: Talk) -> str:
        """A conversation that ends with a question."""
        out = ""
        for place, message in enumerate(talk):
            role = message["role"]
            if role == "system":
                before = self.system
            elif role == "assistant":
                before = self.to_answer
            elif not place:
                before = self.first
            else:
                before = self.after_system if talk[place - 1]["role"] == "system" else self.to_question
            out += before + message["content"]
        return out + self.header

    def go(self) -> str:
        """The same in Ollama's language; every text is a literal, so that no blank is lost and no brace misread."""
        after = f'{{{{ if and (eq $i 1) (eq (index $.Messages 0).Role "system") }}}}{_literal(self.after_system)}'
        return (
            "{{- range $i, $m := .Messages }}"
            f'{{{{- if eq $m.Role "system" }}}}{_literal(self.system)}{{{{ $m.Content }}}}'
            f'{{{{- else if eq $m.Role "user" }}}}{{{{ if eq $i 0 }}}}{_literal(self.first)}{{{{ else }}}}{after}'
            f"{{{{ else }}}}{_literal(self.to_question)}{{{{ end }}}}{{{{ end }}}}{{{{ $m.Content }}}}"
            f'{{{{- else if eq $m.Role "assistant" }}}}{_literal(self.to_answer)}{{{{ $m.Content }}}}{{{{- end }}}}'
            f"{{{{- end }}}}{_literal(self.header)}"
        )


def _literal(text: str) -> str:
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""


def pieces_of(render: Render) -> Pieces | None:
    """What a template puts around what is said; None for one that does more than that."""
    try:
        return _pieces(render)
    except Exception:
        # It is a stranger's: whatever trips it has no translation.
        return None


def _pieces(render: Render) -> Pieces | None:
    alone, whole = render(_talk("u"), True), render(_talk("suau"), True)
    first, header = _around(alone, "u")
    system, after_system, to_answer, to_question, end = _around(whole, "suau")
    found = Pieces(system, after_system, first, to_answer, to_question, header)
    tried = ("u", "su", "uau", "suau", "uauau", "suauau")
    if end != header or any(found.text(_talk(roles)) != render(_talk(roles), True) for roles in tried):
        return None
    return found


def _talk(roles: str) -> list[dict[str, str]]:
    names = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": names[role], "content": f"{_MARKS[names[role]]}{n}"} for n, role in enumerate(roles)]


def _around(text: str, roles: str) -> list[str]:
    out = []
    for message in _talk(roles):
        before, mark, text = text.partition(message["content"])
        if not mark:
            raise ValueError(f"{message['role']} is not in the text")
        out.append(before)
    return [*out, text]
