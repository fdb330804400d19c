"""What the chat page reads: bases, adapters, chats; and the words made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.adapters import parity, siblings
from core.adapters.parity import Parity
from core.datasets import store as datasets
from core.db import Database
from core.errors import AppError
from core.inference.engine import AdapterRef, Sampling
from core.models import store as models
from core.models.store import BaseModel
from core.projects import chats, corrections, projects
from core.projects.assistant import system_prompt
from core.projects.chats import Chat, Message
from core.projects.compared import compared_of
from core.projects.corrections import Correction
from core.projects.projects import Project
from core.training import store as training
from core.training.store import Adapter
from core.workspace import settings
from core.workspace.paths import Workspace
from ui import format as fmt

EXAMPLES = 3
EXAMPLE_CHARACTERS = 160
NEUTRAL = (
    "What can you help me with?",
    "I keep putting off a decision. Where do I start?",
    "What is the difference between saving and investing?",
)
SAVED_PROMPTS = "system_prompts"
PINNED_ADAPTERS = "pinned_adapters"
UNLOADED = "model unloaded {}; it loads again when you ask"


@dataclass(frozen=True)
class Overview:
    """Everything but the messages."""

    bases: Sequence[BaseModel]
    default_base: BaseModel | None
    adapters: Sequence[Adapter]
    chats: Sequence[Chat]
    max_resident: int
    saved_prompts: Sequence[str] = ()
    pinned: Sequence[str] = ()
    projects: Sequence[Project] = ()
    fitting: Mapping[str, frozenset[str]] = field(default_factory=dict)
    parities: Sequence[Parity] = ()

    def project(self, ident: str | None) -> Project | None:
        """A project of the list."""
        return next((project for project in self.projects if project.id == ident), None) if ident else None

    def base(self, ident: str) -> BaseModel | None:
        """A base of the list."""
        return next((base for base in self.bases if base.id == ident), None)

    def adapter(self, ident: str | None) -> Adapter | None:
        """An adapter of the list."""
        return next((adapter for adapter in self.adapters if adapter.id == ident), None) if ident else None

    def adapters_of(self, base_id: str) -> list[Adapter]:
        """Those that answer on a base: its own, and those of the same model in another format. Newest first."""
        fit = self.fitting.get(base_id, frozenset((base_id,)))
        return [adapter for adapter in self.adapters if adapter.base_model_id in fit]

    def weakened(self, adapter_id: str | None, base_id: str) -> Parity | None:
        """What was measured where an adapter is another one on this base, in another format than its own."""
        found = (one for one in self.parities if (one.artifact_id, one.base_id) == (adapter_id, base_id))
        return next((one for one in found if one.is_current and one.weakened), None)

    def base_of(self, adapter: Adapter) -> BaseModel | None:
        """The base that an adapter answers on: its own, or where that is gone the same model in another format."""
        fit = (base for base in self.bases if adapter.base_model_id in self.fitting.get(base.id, ()))
        return self.base(adapter.base_model_id) or next(fit, None)


@dataclass(frozen=True)
class Opened:
    """A chat with its messages, None if it is gone; the adapters that answered, also deleted ones.

    `origin` is the chat that it branched from, where that is still there.
    """

    chat: Chat | None
    messages: Sequence[Message]
    names: Mapping[str, str]
    origin: Chat | None = None
    kept: Mapping[tuple[str, str], Correction] = field(default_factory=dict)


def read_overview(db: Database, search: str, project_id: str = "") -> Overview:
    """By one reader; of the chats those of a project, or all."""
    bases = models.listing(db)
    return Overview(
        bases, models.default(db) or next(iter(bases), None), training.list_adapters(db),
        chats.listing(db, search=search, project_id=project_id), int(settings.get(db, "max_resident_adapters")),
        settings.get(db, SAVED_PROMPTS, []), settings.get(db, PINNED_ADAPTERS, []), projects.listing(db),
        siblings.fitting(db), parity.listing(db),
    )  # fmt: skip


def read_chat(db: Database, chat_id: str, project_id: str = "") -> Opened:
    """A chat, `chat_id` empty for the one used last, of a project or of all."""
    if not chat_id:
        chat_id = chats.last_used(db, project_id)
    if not chat_id or not chats.exists(db, chat_id):
        return Opened(None, (), {})
    chat = chats.get(db, chat_id)
    messages = chats.messages(db, chat_id)
    answered = {fields["artifact_id"] for message in messages for fields in message.all_answers()}
    shown = filter(None, map(compared_of, messages))
    answered |= {side.artifact_id for found in shown for side in found.sides}
    origin = chat.branched_from if chat.branched_from and chats.exists(db, chat.branched_from) else ""
    return Opened(
        chat, messages, {ident: _name(db, ident) for ident in answered if ident},
        chats.get(db, origin) if origin else None, corrections.of_chat(db, chat_id),
    )  # fmt: skip


def _name(db: Database, adapter_id: str) -> str:
    try:
        return training.get_adapter(db, adapter_id).name
    except AppError:
        return "Deleted adapter"


def read_examples(db: Database, adapter: Adapter | None) -> list[str]:
    """Three first questions of the adapter's dataset, filled up with neutral ones."""
    found: list[str] = []
    if adapter is not None and adapter.dataset_id:
        try:
            sample = datasets.get(db, adapter.dataset_id).sample
        except AppError:
            sample = []
        for row in sample:
            first = next((m["content"] for m in row.get("messages", []) if m.get("role") == "user"), "")
            text = " ".join(str(first or "").split())
            if text and text not in found:
                found.append(_shortened(text))
    return [*found, *NEUTRAL][:EXAMPLES]


def _shortened(text: str) -> str:
    """Whole sentences up to a length, so that the question still reads as one."""
    if len(text) <= EXAMPLE_CHARACTERS:
        return text
    end = max(text.rfind(mark, 0, EXAMPLE_CHARACTERS) for mark in ".?!")
    return text[: end + 1] if end > 30 else text[: text.rfind(" ", 0, EXAMPLE_CHARACTERS)]


def reference(workspace: Workspace, adapter: Adapter | None) -> AdapterRef | None:
    """An adapter as the engine knows it."""
    return AdapterRef(adapter.id, str(workspace.absolute(adapter.path)), adapter.name) if adapter else None


def prompt_of(adapter: Adapter | None, project: Project | None = None) -> str:
    """The system prompt that an adapter was trained with; in a project's chat one without gets the assistant's."""
    own = str(adapter.passport.get("system_prompt") or "") if adapter is not None else ""
    return own or (system_prompt(project.name) if project is not None else "")


def sampling_of(values: Mapping[str, Any]) -> Sampling:
    """Stored values as a value; keys from elsewhere are passed over."""
    return Sampling(**{k: v for k, v in values.items() if k in Sampling.__dataclass_fields__})


def base_name(base: BaseModel | None) -> str:
    """The base's name; that of a practice model has the word in it."""
    if base is None:
        return "Base"
    return f"{base.name} (practice)" if base.is_practice and "practice" not in base.name.lower() else base.name


ENGINES = {"mlx": "MLX", "gguf": "llama.cpp", "ollama": "Ollama"}


def base_choices(bases: Sequence[BaseModel]) -> list[tuple[str, str]]:
    """(id, name) for the menu; where there are several ways to answer, with the one of each."""
    several = len({base.engine for base in bases}) > 1
    return [
        (base.id, f"{base_name(base)} · {ENGINES.get(base.engine, base.engine)}" if several else base_name(base))
        for base in bases
    ]


def small_time(seconds: float) -> str:
    """A switch takes hundredths of a millisecond: "0.01 ms", "12 ms"."""
    ms = seconds * 1000
    return f"{fmt.decimal(ms, 2)} ms" if ms < 9.95 else fmt.duration(seconds)


def context_text(stats: Mapping[str, Any]) -> str:
    """ "context 140 of 1,024 tokens"."""
    used = int(stats.get("prompt_tokens", 0)) + int(stats.get("tokens", 0))
    if not used:
        return ""
    whole, left = int(stats.get("context") or 0), int(stats.get("left_out") or 0)
    text = f"context {fmt.count(used)} of {fmt.count(whole)} tokens" if whole else f"context {fmt.count(used)} tokens"
    return f"{text}, without the first {fmt.plural(left, 'message')}" if left else text


def switch_text(stats: Mapping[str, Any]) -> str:
    """ "switched in 0.01 ms, conversation kept"."""
    if stats.get("switch_s") is None:
        return ""
    loaded = "" if stats.get("was_resident", True) else "loaded and "
    return f"{loaded}switched in {small_time(float(stats['switch_s']))}, conversation kept"


def base_gone() -> AppError:
    """A chat whose base was deleted can be read but not asked."""
    return AppError(
        "no_such_base", "The base model of this chat is no longer in this workspace.",
        hint="Restore it from the trash, or start a new chat with another base.", action="page:adapters",
    )  # fmt: skip
