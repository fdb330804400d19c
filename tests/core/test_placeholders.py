"""What is wrong with the placeholders of a template, and where."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from core.scaffolding.placeholders import Fault, problems, utf16
from core.scaffolding.render import KNOWN, SOURCES, fill, placeholders, render, template_values
from core.scaffolding.store import EmotionalArc, Persona, TrainingTopic

VALUES = dict.fromkeys(KNOWN, "x")


def found(text: str, values: dict[str, str] | None = None) -> list[tuple[Fault, str]]:
    """Fault and the very text that is marked."""
    return [(problem.fault, text[problem.start : problem.end]) for problem in problems(text, values)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{persona_name}} and {{ topic_name }}", []),
        ("Hi {{shoe}}", [(Fault.UNKNOWN, "{{shoe}}")]),
        ("{{Persona_Name}}", [(Fault.UNKNOWN, "{{Persona_Name}}")]),
        ("{{}}", [(Fault.UNKNOWN, "{{}}")]),
        ("{{shoe}} {{shoe}}", [(Fault.UNKNOWN, "{{shoe}}"), (Fault.UNKNOWN, "{{shoe}}")]),
        ("{{persona_name", [(Fault.UNCLOSED, "{{persona_name")]),
        ("{{persona_name}", [(Fault.UNCLOSED, "{{persona_name")]),
        ("{{persona_name\nand more}}", [(Fault.UNCLOSED, "{{persona_name")]),
        ("a {{ {{persona_name}} }} b", [(Fault.UNCLOSED, "{{")]),
        ("{{a {{shoe}}", [(Fault.UNCLOSED, "{{a"), (Fault.UNKNOWN, "{{shoe}}")]),
        ("{{{persona_name}}}", []),
        ('{"a": {"b": "{{skills}}"}}', []),
        ("no } or { here }}", []),
        ("", []),
        ("{{größe😀}}", [(Fault.UNKNOWN, "{{größe😀}}")]),
    ],
)
def test_what_is_marked(text: str, expected: list[tuple[Fault, str]]) -> None:
    assert found(text, VALUES) == expected


def test_a_value_that_is_missing_depends_on_the_entries() -> None:
    text = "{{household}} {{skills}}"
    assert found(text, None) == []
    assert found(text, VALUES | {"household": " "}) == [(Fault.UNFILLED, "{{household}}")]
    (problem,) = problems(text, VALUES | {"skills": ""})
    assert not problem.blocks
    assert "{{skills}} has no value" in problem.message


def test_lines_and_columns_count_characters_from_one() -> None:
    text = "first\n\n😀é {{shoe}}\n{{boot}}"
    first, second = problems(text)
    assert (first.line, first.column) == (3, 4)
    assert first.message.startswith("Line 3, column 4: {{shoe}} is unknown.")
    assert (second.line, second.column) == (4, 1)
    # Qt counts two for what lies outside the basic plane.
    assert [utf16(text)(place) for place in (0, 7, 8, first.start)] == [0, 7, 9, first.start + 1]
    assert utf16("plain")(3) == 3


def test_the_nearest_name_is_suggested() -> None:
    assert [problem.nearest for problem in problems("{{personna_name}} {{Topic Name}} {{qqqq}}")] == [
        "persona_name", "topic_name", "",
    ]  # fmt: skip
    assert problems("{{personna_name}}")[0].message.endswith("Did you mean {{persona_name}}?")
    assert problems("{{persona_nam and so on")[0].message.endswith("Write {{persona_name}}.")
    assert len(problems("{{" + "long " * 50)[0].message) < 150


def test_as_many_as_are_asked_for() -> None:
    text = "{{shoe}} " * 50
    assert len(problems(text)) == 50
    assert problems(text, most=3) == problems(text)[:3]


@pytest.mark.parametrize(
    "piece", ["{{", "{{ ", " ", "{{a ", "}}{{", "{{persona_name}} and words ", "{{shoe}} ", "\n{{x", "{"]
)
def test_long_texts_take_time_in_proportion(piece: str) -> None:
    def spent(size: int) -> float:
        text = "{{" + piece * (size // len(piece))
        began = time.process_time()
        problems(text, VALUES, 200)
        placeholders(text)
        return time.process_time() - began

    # Some milliseconds; time in proportion to the square would be minutes.
    assert spent(100_000) < 2


def test_filling_leaves_what_it_can_not_fill() -> None:
    values = {"persona_name": "David", "household": "", "skills": "{{topic_name}}"}
    text = "{{persona_name}}, {{household}}, {{shoe}}, {{ skills }}, {{open"
    assert fill(text, values) == "David, {{household}}, {{shoe}}, {{topic_name}}, {{open"
    assert render("{{ persona_name }}", values) == "David"


def test_every_known_name_has_its_source() -> None:
    persona, arc, topic = Persona("a", "A"), EmotionalArc("b", "B"), TrainingTopic("c", "C")
    values = template_values(persona, arc, topic)
    assert tuple(values) + SOURCES["run"] == KNOWN
    others = (
        ("persona", template_values(replace(persona, name="Z"), arc, topic), "persona_name"),
        ("arc", template_values(persona, replace(arc, name="Z"), topic), "arc_name"),
        ("topic", template_values(persona, arc, replace(topic, name="Z")), "topic_name"),
    )
    for source, other, name in others:
        assert name in SOURCES[source]
        assert [key for key in values if values[key] != other[key]] == [name]
