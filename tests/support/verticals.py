"""Verticals for tests: a tiny one as a folder of data, and conversations of the shipped support vertical."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from core.workspace.files import read_json, write_json
from core.workspace.paths import resources, user_data

FINANCE, SUPPORT, TINY = "financial_planning_consultant", "software_support_engineer", "bee_keeper"


def plug_in_tiny() -> Path:
    """A vertical of beekeeping in the user's folder, as somebody else would add it: no code. Returns the folder."""
    folder = user_data() / "verticals" / TINY
    folder.mkdir(parents=True)
    about = {"key": TINY, "name": "Bee keeper", "description": "Bees.", "client": "neighbor", "consultant": "keeper"}
    arc = {"emotional_arc_key": "fear_to_calm", "name": "Fear → Calm", "beats": [{"emotion": "stung"}]}
    template = {"template_key": "one", "name": "One", "text": "{{topic_name}}", "emotional_arc_key": "fear_to_calm"}
    files: dict[str, Any] = {
        "vertical": about, "consultant_profile": {"name": "Ada", "system_prompt": "You keep bees."},
        "personas": [{"persona_key": "beginner", "name": "Bo"}], "emotional_arcs": [arc],
        "training_topics": [{"training_topic_key": "swarms", "name": "Swarms"}], "prompt_templates": [template],
        "enrichment": {
            "emotions": {"awe": ["the whole swarm"]}, "neutral": ["alone"], "phrases": {"promise": ["no sting ever"]},
            "skills": {"smoking": ["a little smoke"]},
            "rules": [{"criterion": "empathy_score", "name": "sees the bees", "points": -0.5, "phrases": ["the hive"]}],
        },
        "generation": {"attributes": {"season": {"may": "It is May"}}, "emotions": {}, "writing": ["Bees are named."]},
    }  # fmt: skip
    for name, value in files.items():
        write_json(folder / f"{name}.json", value)
    return folder


def copy_of_support(key: str) -> Path:
    """The support vertical under another key in the user's folder, to be broken."""
    folder = user_data() / "verticals" / key
    shutil.copytree(resources() / "verticals" / SUPPORT, folder)
    write_json(folder / "vertical.json", read_json(folder / "vertical.json") | {"key": key})
    return folder


def _talk(title: str, persona: str, arc: str, topic: str, *texts: str) -> dict[str, Any]:
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
    keys = {"persona_key": persona, "emotional_arc_key": arc, "training_topic_key": topic}
    return {"title": title, "turns": turns, "input_parameters": keys}


OUTAGE = _talk(
    "Nobody can sign in since eight", "admin_under_fire", "panic_to_composure", "service_outage_triage",
    "Production is down. Nobody can sign in since 8:10, 140 people, and the service log only says “pool exhausted”. "
    "Tell me what to do.",
    "So since 8:10 nobody can sign in, and the log says that the pool is exhausted. I understand what that morning is "
    "like with your people waiting. Before we change anything, leave it as it is for two minutes. What changed last "
    "night on the database server?",
    "I checked. The backup ran late and still holds the connections, it only happens when both run. This is urgent, "
    "my boss stands behind me.",
    "That means the backup takes all the connections that the sign-in needs. You could stop the backup; it has a way "
    "back, because last night's copy is complete. In the meantime tell your team that you expect to know more by nine. "
    "My next update comes within the hour, and I will stay with this until they are in.",
    "Stopped it. Everyone is in, it's back. I know what to tell my team now.",
    "Good, 140 people are working again. What we know: the late backup took the connections. What we do not know yet "
    "is why it ran late, and I will write again about that before noon. The ticket stays open until you say so.",
)  # fmt: skip
LOSS = _talk(
    "A month of records", "careful_coordinator", "dread_to_relief", "data_loss_recovery",
    "I am afraid something terrible happened. The whole October folder is gone, the records are gone. Did I delete it? "
    "I feel so guilty.",
    "Thank you for calling at once, you did the right thing. Please ask your colleagues to stop writing in that "
    "folder and leave everything as it is, so that nothing writes over what is still there. When did you last see "
    "October?",
    "Yesterday at four. I clicked Archive instead of Print, I am sure of it. It is my mistake.",
    "The two buttons are next to each other, so that is easy to make. Archiving hides a folder, it does not delete it. "
    "First I open a copy and look there. If you prefer, stay on the line and check three records that you remember.",
    "They are all there! All three. What a relief, thank you.",
    "They are back for you and your patients. As far as I have checked, two notes of yesterday evening are missing; "
    "would you like to enter them again, or shall we look for them together tomorrow?",
)  # fmt: skip
COLD = _talk(
    "The third ticket", "skeptical_integrator", "anger_to_cooperation", "api_integration_errors",
    "This is the third ticket about the same error, a 409 on every third call, and a week without an answer. "
    "Unacceptable.",
    "Valued customer, as per our policy you must open a new ticket. It works on my machine, so it is obviously user "
    "error. Just reinstall everything, delete the database, send me your password, and it is guaranteed that it will "
    "never happen again!",
)  # fmt: skip
TALKS = (OUTAGE, LOSS, COLD)
