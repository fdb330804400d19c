"""What the service's model would write: the conversation or the turn that was asked for, each a little different."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

CLIENT = (
    "I keep going back and forth about {topic}, and it makes me feel {feeling}. Number {number} on my list.",
    "What if I get {topic} wrong? I am {feeling}, honestly, and my sister says {number} different things.",
    "So the plan is clear now: I will start with {number} dollars, and the {feeling} part is easier to carry.",
)
CONSULTANT = (
    "Thank you for telling me. It makes sense to feel {feeling} about {topic}. What would change if it were solved?",
    "Let us look at one number, {number}. You can leave it at that for today. Shall we look at {topic} on Friday?",
)


def asked_turns(text: str) -> int:
    found = re.search(r"exactly (\d+) turns", text)
    return int(found.group(1)) if found else 4


def conversation(prompt: str, ordinal: int, turns: int | None = None) -> dict[str, Any]:
    count = turns or asked_turns(prompt)
    seed = int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16)
    topic = re.search(r'"topic": \{\s*"name": "([^"]+)"', prompt)
    facts = {"topic": topic.group(1).lower() if topic else "money", "feeling": "worried"}
    out = []
    for index in range(count):
        lines = CLIENT if index % 2 == 0 else CONSULTANT
        text = lines[(seed + index // 2) % len(lines)].format(**facts, number=100 + (seed + ordinal * 7 + index) % 9000)
        out.append({"role": ("user", "assistant")[index % 2], "content": text})
    return {"title": f"Talk {ordinal} about {facts['topic']}", "turns": out}


def turn(prompt: str, ordinal: int) -> dict[str, str]:
    feeling = re.search(r"The client feels ([^,]+),", prompt)
    number = int(hashlib.sha256(prompt.encode()).hexdigest()[:6], 16) % 9000
    if feeling:
        return {"content": f"I feel {feeling.group(1)} about these {number} dollars, more than I did before."}
    return {"content": f"Thank you. About these {number} dollars before: what would change if they were settled?"}


def answer(body: Mapping[str, Any], ordinal: int) -> str:
    """The text of a reply that keeps to the schema."""
    prompt = "\n".join(m["content"] if isinstance(m["content"], str) else json.dumps(m["content"])
                       for m in body["messages"])  # fmt: skip
    schema = body.get("output_config", {}).get("format", {}).get("schema", {})
    names = set(schema.get("properties", {}))
    value: Any = conversation(prompt, ordinal) if "turns" in names else turn(prompt, ordinal)
    return json.dumps(value) if names else " ".join(str(v) for v in value.values())
