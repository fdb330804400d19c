"""One conversation as a machine of requests and replies: whole, turn by turn along the arc, or one turn written anew.

Fed with the replies of its log, it stands where it stood: live runs, batches and resumed runs share this one way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from core.errors import AppError
from core.generation.beats import beat_of_turn, client_meets, consultant_meets, cues_of, met_beats
from core.generation.plan import Library, PlanItem
from core.generation.prompts import SCHEMA, TURN_SCHEMA, Cast, Prompts, Scene
from core.generation.provider import Reply, Request
from core.generation.replies import ended_early, invalid, read_conversation, read_turn, refused, too_long, truncated
from core.generation.settings import WHOLE, RunSettings, Target

MAX_OUTPUT = 32_000
GROW = 2
INVALID_RETRIES, EARLY_RETRIES, TRUNCATED_RETRIES = 1, 2, 2
REFUSED, TRUNCATED, INVALID, EARLY, TOO_LONG = "refused", "truncated", "invalid", "ended_early", "context_exceeded"


@dataclass(frozen=True)
class Made:
    """A finished conversation. `raw` is the model's output, untouched; `met` says turn by turn whether beats were."""

    title: str
    turns: tuple[Mapping[str, str], ...]
    raw: bytes
    met: tuple[bool | None, ...]
    rewritten: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rewritten:
    """Other words for one turn of a conversation that is there already."""

    content: str


@dataclass(frozen=True)
class GivenUp:
    """A conversation that could not be written: why, with what was asked and the raw text that came."""

    kind: str
    error: AppError
    turn: int
    asked: Mapping[str, Any]
    raw: str
    category: str = ""
    transient: bool = False


class Flow(Protocol):
    """What drives a conversation."""

    item: PlanItem

    @property
    def outcome(self) -> Made | Rewritten | GivenUp | None:
        """How it ended, None while it goes on."""
        ...

    @property
    def done_turns(self) -> int:
        """Turns that are written."""
        ...

    def next(self) -> Request:
        """The request that is due now; the same one until a reply is taken."""
        ...

    def take(self, reply: Reply) -> None:
        """Go on by a reply."""
        ...

    def give_up(self, kind: str, error: AppError, *, transient: bool = False, raw: str = "") -> None:
        """End it without a conversation; `raw` is what came instead of a reply."""
        ...

    def reopen(self) -> None:
        """After a failure: go on with the request that failed, its allowances fresh."""
        ...


def make_flow(item: PlanItem, library: Library, prompts: Prompts, settings: RunSettings) -> Flow:
    """The flow of the settings. Raises AppError `no_such_scaffolding` for a conversation that can't be cast."""
    if settings.rewrite:
        return RewriteFlow(item, library, prompts, settings)
    kind = WholeFlow if settings.mode == WHOLE else TurnsFlow
    return kind(item, Cast.of(item, library), prompts, settings)


@dataclass
class _Base:
    item: PlanItem
    prompts: Prompts
    settings: RunSettings
    outcome: Made | Rewritten | GivenUp | None = None
    attempt: int = 0
    max_tokens: int = 0
    left: dict[str, int] = field(default_factory=dict)
    _request: Request | None = None

    def __post_init__(self) -> None:
        self._fresh()

    def _fresh(self) -> None:
        self.max_tokens = self._first_max_tokens()
        # A local model's tries cost nothing but time.
        invalid = INVALID_RETRIES if self.settings.structured else 4
        self.left = {EARLY: EARLY_RETRIES, TRUNCATED: TRUNCATED_RETRIES, INVALID: invalid}
        self.left["beat"] = self.settings.beat_retries

    def _first_max_tokens(self) -> int:
        raise NotImplementedError

    def _turn(self) -> int:
        raise NotImplementedError

    def _room(self, tokens: int) -> int:
        facts = self.settings.model_facts
        # Thinking counts as output; where it can't be turned off it needs room of its own.
        room = tokens + (4_096 if facts.always_thinks or self.settings.thinking != "off" else 0)
        return min(room, self._most())

    def _room_of_turn(self) -> int:
        return 160 if self.settings.practice else self._room(1_024)

    def _most(self) -> int:
        return min(MAX_OUTPUT, self.settings.model_facts.max_tokens or MAX_OUTPUT)

    def _build(
        self, system: tuple[str, ...], messages: tuple[Mapping[str, str], ...], schema: Mapping[str, Any] | None
    ) -> Request:
        settings, facts = self.settings, self.settings.model_facts
        key = f"{self.item.id}-{self._turn()}-{self.attempt}"
        return Request(
            key=key, item_id=self.item.id, turn=self._turn(), model=settings.model, system=system,
            messages=messages, max_tokens=self.max_tokens, schema=schema,
            effort=facts.effort_parameter(settings.effort), thinking=facts.thinking_parameter(settings.thinking),
            cache=settings.cache and _worth_caching(system, facts.min_cache_tokens),
            seed=int(self.item.id[:7], 16) + 97 * self._turn() + self.attempt,
        )  # fmt: skip

    def take(self, reply: Reply) -> None:
        """Go on by a reply."""
        request = self.next()
        self._request = None
        self.attempt += 1
        if reply.stop_reason == "refusal":
            self._end(REFUSED, refused(reply), request, reply)
        elif reply.stop_reason == "model_context_window_exceeded":
            self._end(TOO_LONG, too_long(), request, reply)
        elif reply.stop_reason is None:
            self._again(EARLY, ended_early(), request, reply, transient=True)
        elif reply.stop_reason == "max_tokens" and self.settings.structured:
            self._truncated(request, reply)
        else:
            self._read(request, reply)

    def _truncated(self, request: Request, reply: Reply) -> None:
        if self.max_tokens >= self._most():
            self.left[TRUNCATED] = 0
        self.max_tokens = min(self._most(), self.max_tokens * GROW)
        self._again(TRUNCATED, truncated(request.max_tokens), request, reply)

    def _again(self, kind: str, error: AppError, request: Request, reply: Reply, *, transient: bool = False) -> None:
        if self.left.get(kind, 0) > 0:
            self.left[kind] -= 1
            return
        self._end(kind, error, request, reply, transient=transient)

    def _end(self, kind: str, error: AppError, request: Request, reply: Reply, *, transient: bool = False) -> None:
        self.outcome = GivenUp(kind, error, request.turn, request.asked(), reply.text, reply.category, transient)

    def _read(self, request: Request, reply: Reply) -> None:
        raise NotImplementedError

    def next(self) -> Request:
        """The request that is due."""
        raise NotImplementedError

    def give_up(self, kind: str, error: AppError, *, transient: bool = False, raw: str = "") -> None:
        """End it without a conversation."""
        request = self.next()
        self.outcome = GivenUp(kind, error, request.turn, request.asked(), raw, transient=transient)

    def reopen(self) -> None:
        """Go on with the request that failed."""
        self.outcome = None
        self._request = None
        self._fresh()


def _worth_caching(system: tuple[str, ...], least: int) -> bool:
    # Cautious: English text has about four bytes a token, and a prefix that is too short is silently not cached.
    return sum(len(text.encode()) for text in system) / 4.5 >= least


class WholeFlow(_Base):
    """The whole conversation in one structured reply."""

    def __init__(self, item: PlanItem, cast: Cast, prompts: Prompts, settings: RunSettings) -> None:
        self.cast = cast
        super().__init__(item, prompts, settings)

    def _first_max_tokens(self) -> int:
        return self._room(768 + 320 * self.item.turns)

    def _turn(self) -> int:
        return 0

    @property
    def done_turns(self) -> int:
        """Turns that are written."""
        return len(self.outcome.turns) if isinstance(self.outcome, Made) else 0

    def next(self) -> Request:
        """The request that is due."""
        if self._request is None:
            user = self.prompts.whole(self.item, self.cast)
            self._request = self._build(self.prompts.writer_system(), ({"role": "user", "content": user},), SCHEMA)
        return self._request

    def _read(self, request: Request, reply: Reply) -> None:
        try:
            title, turns = read_conversation(reply.text, self.item.turns)
        except AppError as error:
            self._again(INVALID, error, request, reply)
            return
        notes = []
        if len(turns) != self.item.turns:
            notes.append(f"{self.item.turns} turns were asked for, {len(turns)} came.")
        met = tuple(met_beats(self.cast.arc, turns, cues_of(self.cast.vertical)))
        self.outcome = Made(title, turns, reply.text.encode(), met, 0, tuple(notes))


class TurnsFlow(_Base):
    """Turn by turn: client and consultant in turn, each with its beat; only a turn that misses it is written again."""

    def __init__(self, item: PlanItem, cast: Cast, prompts: Prompts, settings: RunSettings) -> None:
        self.cast = cast
        self.turns: list[Mapping[str, str]] = []
        self.met: list[bool | None] = []
        self._raw: list[dict[str, Any]] = []
        self._missed = ""
        self._rewritten = 0
        super().__init__(item, prompts, settings)

    def _first_max_tokens(self) -> int:
        return self._room_of_turn()

    def _turn(self) -> int:
        return len(self.turns) + 1

    @property
    def done_turns(self) -> int:
        """Turns that are written."""
        return len(self.turns)

    def next(self) -> Request:
        """The request that is due."""
        if self._request is None:
            self._request = self._structured() if self.settings.structured else self._plain()
        return self._request

    def _structured(self) -> Request:
        client = self._turn() % 2 == 1
        system = self.prompts.client_system() if client else self.prompts.consultant_system()
        user = self.prompts.turn(self.item, self.cast, self.turns, self._missed)
        return self._build(system, ({"role": "user", "content": user},), TURN_SCHEMA)

    def _plain(self) -> Request:
        system, messages = self.prompts.plain_turn(self.item, self.cast, self.turns, self.settings.practice)
        return self._build((system,) if system else (), messages, None)

    def _read(self, request: Request, reply: Reply) -> None:
        try:
            text = read_turn(reply.text, self.cast.vertical.speakers, structured=self.settings.structured)
        except AppError as error:
            self._again(INVALID, error, request, reply)
            return
        self._raw.append({"turn": request.turn, "text": reply.text})
        met = self._check(text)
        if met is False and self.left["beat"] > 0:
            self.left["beat"] -= 1
            self._rewritten += 1
            beat = beat_of_turn(self.cast.beats, self._turn(), self.item.turns)
            self._missed = self._hint(beat.emotion)
            return
        self.turns.append({"role": "user" if request.turn % 2 else "assistant", "content": text})
        self.met.append(met)
        self._missed = ""
        self._fresh()
        if len(self.turns) >= self.item.turns:
            raw = orjson.dumps({"replies": self._raw}, option=orjson.OPT_INDENT_2)
            self.outcome = Made("", tuple(self.turns), raw, tuple(self.met), self._rewritten)

    def _check(self, text: str) -> bool | None:
        if self.settings.practice:
            # The practice model can't follow an arc; writing its turns again would not change that.
            return None
        if self._turn() % 2:
            beat = beat_of_turn(self.cast.beats, self._turn(), self.item.turns)
            return client_meets(beat, text, cues_of(self.cast.vertical))
        return consultant_meets(str(self.turns[-1]["content"]), text)

    def _hint(self, emotion: str) -> str:
        tried, words = "\n\nAn earlier try of this turn did not", f"the {self.cast.vertical.client}'s"
        if self._turn() % 2:
            return f"{tried} show {emotion.replace('_', ' ')}. Let it be heard in {words} own words."
        return f"{tried} take up {words} words, or was too long. Stay with them."


class RewriteFlow(_Base):
    """One turn of a finished conversation written anew, everything around it as it stands."""

    def __init__(self, item: PlanItem, library: Library, prompts: Prompts, settings: RunSettings) -> None:
        self._scene, self._speakers = Scene.find(item, library), library.vertical.speakers
        self._target = Target.from_json(settings.rewrite)
        super().__init__(item, prompts, settings)

    def _first_max_tokens(self) -> int:
        return self._room_of_turn()

    def _turn(self) -> int:
        return self._target.number

    @property
    def done_turns(self) -> int:
        """Turns that are written."""
        return int(isinstance(self.outcome, Rewritten))

    def next(self) -> Request:
        """The request that is due."""
        if self._request is None:
            target, practice = self._target, self.settings.practice
            asked = (self.item, self._scene, target.turns, target.number, target.wish)
            if self.settings.structured:
                system = self.prompts.client_system() if target.number % 2 else self.prompts.consultant_system()
                user = self.prompts.rewrite(*asked)
                self._request = self._build(system, ({"role": "user", "content": user},), TURN_SCHEMA)
            else:
                text, messages = self.prompts.plain_rewrite(*asked, practice)
                self._request = self._build((text,) if text else (), messages, None)
        return self._request

    def _read(self, request: Request, reply: Reply) -> None:
        try:
            text = read_turn(reply.text, self._speakers, structured=self.settings.structured)
            if text == self._target.before:
                raise invalid("it repeats the words that the turn had")
        except AppError as error:
            self._again(INVALID, error, request, reply)
            return
        self.outcome = Rewritten(text)
