"""What a question in a project's chat is given from the code, and answers that were given before. No widgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from PySide6.QtCore import QObject

from app.services import Services
from core.code_index.spec import ProjectSpec
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.models.store import BaseModel
from core.projects import analyses, assistant, projects
from core.projects.analyses import Analysis
from core.projects.assistant import GIVEN, Given
from core.projects.chats import Chat, Message
from core.projects.jobs import spec_of, workspace_embedder

CACHED = "cached"


@dataclass
class CodeQuestion:
    """A question about a project's code on its way: what it was given, and under which key its answer is kept.

    `fresh` says that an answer from before must not be taken: it is asked again, or is not the first of its chat.
    """

    spec: ProjectSpec
    text: str
    fresh: bool
    given: Given | None = None
    key: str = ""


def question_of(db: Database, services: Services, chat: Chat, history: Sequence[Message], again: bool) -> Any:
    """The question of a chat's last message about its project's code, None for a chat without a project."""
    if not chat.project_id:
        return None
    project = projects.get(db, chat.project_id)
    asked = history[-1]
    fresh = again or len(history) > 1 or bool(asked.attachments)
    return CodeQuestion(spec_of(services.workspace, project, workspace_embedder(db)), asked.content, fresh)


class Knowledge(QObject):
    """Lives in the GUI thread. What can't be looked up is said with the answer, which is given without it."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._ident = ""

    def look_up(
        self, question: CodeQuestion, base: BaseModel, prompt: Sequence[Mapping[str, str]], done: Callable[[], None]
    ) -> None:
        """Fill `question.given`, then `done()`."""

        def found(data: Mapping[str, Any]) -> None:
            question.given = Given.from_json(data)
            done()

        def failed(error: AppError) -> None:
            # An answer without the code is better than none.
            question.given = Given(notices=[f"{error.message} The answer was given without the code. {error.hint}"])
            done()

        taken = sum(assistant.estimate_tokens(message["content"]) for message in prompt)
        budget = assistant.budget(base.context_length, taken)
        self._ident = self._services.code.context(self, question.spec, question.text, budget, found, failed)

    def drop(self) -> None:
        """The question was stopped while its code was looked up."""
        self._services.code.drop(self._ident)

    def recall(
        self, question: CodeQuestion, chat: Chat, base: BaseModel, artifact_id: str | None,
        done: Callable[[Analysis | None], None],
    ) -> None:  # fmt: skip
        """The answer to the same question about the same code by the same model, if one was given; then `done`."""
        given = question.given
        if given is None or not given.index_state:
            done(None)
            return
        question.key = analyses.key(
            question.spec.id, question.text, given.index_state, artifact_id, base.id, chat.system_prompt,
            dict(chat.sampling),
        )  # fmt: skip
        if question.fresh:
            done(None)
            return

        def find(db: Database) -> tuple[Changed, Analysis | None]:
            return Changed.NOTHING, analyses.find(db, question.key)

        self._services.write(self, find, done, lambda _exc: done(None))

    def keep(self, question: CodeQuestion, answer: str, stats: Mapping[str, Any], artifact_id: str | None) -> None:
        """Keep an answer for the next time."""
        given = question.given
        if given is None or not question.key or not answer.strip():
            return
        kept = {key: value for key, value in stats.items() if key != CACHED}

        def put(db: Database) -> Changed:
            analyses.keep(
                db, question.key, question.spec.id, question.text, answer, kept, given.index_state, artifact_id
            )  # fmt: skip
            return Changed.NOTHING

        self._services.write(self, put)


def with_code(prompt: Sequence[Mapping[str, str]], question: CodeQuestion) -> list[Mapping[str, str]]:
    """The messages with the code in front of the last question; what was given before is not said again."""
    given = question.given
    if given is None or not given.used or not prompt or prompt[-1]["role"] != "user":
        return list(prompt)
    last = prompt[-1]
    return [*prompt[:-1], {**last, "content": assistant.compose(last["content"], given)}]


def recalled_stats(analysis: Analysis, given: Given) -> dict[str, Any]:
    """The numbers of an answer that is given again: when it was made, and no speed, since nothing was computed."""
    speeds = ("tokens_per_second", "first_token_s", "switch_s")
    kept = {key: value for key, value in analysis.stats.items() if key not in speeds}
    return {**kept, GIVEN: given.to_json(), CACHED: analysis.created_at}


def age(moment: str) -> float:
    """Seconds since a stored moment."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
