"""The memory arbiter: chat and jobs ask before they load, and this decides what leaves, in a stated order.

What fits beside the others is loaded. Else Ollama is asked for its memory, the model that code is searched with leaves,
and an idle chat model for a job; for a question, the job that has the memory pauses at its next checkpoint and goes on
once the chat was idle for a while. Each of the two keeps the memory for a turn before it has to leave again, so neither
starves the other. An answer under way is never cut. Where only other programs are in the way it is loaded all the same,
and said: an estimate must not lock anybody out.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.code_service import CodeService
from app.engine_calls import Call
from app.inference import InferenceService
from app.jobs.queue import JobQueue
from app.ollama_memory import OllamaMemory
from app.ollama_service import OllamaService
from core import memory
from core.errors import AppError
from core.inference.arbiter import CHAT, JOB, SEARCH, Arbiter, base_needs
from core.jobs import Job, JobState
from core.lanes import Lane
from core.memory import Memory
from core.models.served import model_of, weight_bytes
from core.units import amount

log = logging.getLogger(__name__)
IDLE_MS = 60_000
TURN_S = 60.0
LONGEST_CHAT_S = 600.0
KEPT = 20


@dataclass(frozen=True)
class Decision:
    """What was decided, for the panel and the log."""

    at: datetime
    words: str


class MemoryArbiter(QObject):
    """Lives in the GUI thread. `changed()` when somebody holds more or less, or something was decided.

    `paused(Job)`: it leaves for a question, and goes on by itself. `owes([job_id])`: to be remembered over a restart.
    `still_paused(ids, then)` calls back with those of the ids that can go on.
    """

    changed = Signal()
    paused = Signal(object)
    owes = Signal(object)

    def __init__(
        self,
        engine: InferenceService,
        queue: JobQueue,
        parent: QObject | None = None,
        *,
        search: CodeService | None = None,
        read: Callable[[], Memory] | None = None,
        idle_ms: int = IDLE_MS,
        turn_s: float = TURN_S,
        longest_s: float = LONGEST_CHAT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._engine, self._queue, self._search, self._clock = engine, queue, search, clock
        self._turn_s, self._longest_s = turn_s, longest_s
        self.book = Arbiter(read or memory.read)
        self.decisions: deque[Decision] = deque(maxlen=KEPT)
        self._jobs: dict[str, tuple[Job, int]] = {}
        self._since: dict[str, float] = {}
        self._load: Call | None = None
        self._search_leaving = False
        self._ollama: OllamaMemory | None = None
        self._served: dict[str, str] = {}
        self._owed: dict[str, Job] = {}
        self._owed_since = 0.0
        self.still_paused: Callable[[Sequence[str], Callable[[Sequence[str]], None]], object] = _all_of_them
        self._idle = self._timer(self._give_back)
        self._idle.setInterval(idle_ms)
        self._turn = self._timer(self._try_load)
        self._soon = self._timer(self._on_rest)
        engine.gate = self._may_load
        engine.state_changed.connect(self._on_state)
        engine.memory_changed.connect(self._on_chat_memory)
        engine.left.connect(self._on_left)
        engine.rested.connect(self._on_rested)
        if search is not None:
            search.gate = self._may_embed
            search.memory_changed.connect(self._on_search_memory)
        queue.on_memory_asked = self._on_asked
        queue.memory_told.connect(self._on_told)
        queue.job_changed.connect(self._on_job)

    def attend(self, ollama: OllamaService) -> None:
        """Count what Ollama holds on this machine, and ask it first where there is no room."""
        self._ollama = OllamaMemory(ollama, self.book, self._asked_of_ollama, self)
        self._ollama.counted.connect(self.changed)
        self._ollama.gave.connect(self._on_given_back)
        self._ollama.over.connect(self._go_on)

    def _timer(self, slot: Callable[[], None]) -> QTimer:
        out = QTimer(self)
        out.setSingleShot(True)
        out.timeout.connect(slot)
        return out

    def _decide(self, words: str) -> None:
        log.info("memory: %s", words)
        self.decisions.append(Decision(datetime.now(UTC), words))
        self.changed.emit()

    # The chat asks

    def _may_load(self, call: Call) -> bool:
        """The engine's gate."""
        before, self._load = self._load, call
        self._count_ollama()
        if self._has_room_for(call):
            self._load = None if before is call else before
            return True
        return False

    def _has_room_for(self, call: Call) -> bool:
        needs = _needs(Path(call.fields["base"]))
        # What leaves is still counted for the chat: beside it there must be room for another one.
        if self._engine.leaving and needs > self.book.room(""):
            self._engine.say_waiting("waiting until the earlier model has left the memory")
            return False
        if self.book.ask(CHAT, needs):
            self._decide(f"the chat's model takes {amount(needs)}")
            return True
        if self._ollama_leaves(call):
            self._engine.say_waiting("waiting until Ollama has given its memory back")
            return False
        if self._search_leaves("the chat's model"):
            self._engine.say_waiting("waiting until the search's model has left the memory")
            return False
        job = self._holder()
        if job is None:
            room = self.book.room(CHAT)
            self.book.book(CHAT, needs)
            self._decide(f"the chat's model needs {amount(needs)}, {amount(room)} is free: loaded all the same")
            return True
        self._make_way(job)
        return False

    def has_room(self, base: Path) -> bool:
        """Whether that base could be loaded now without anybody having to leave."""
        waiting = sum(needs for _, needs in self._jobs.values())
        return _needs(base) <= self.book.room(CHAT) - waiting

    def _holder(self, but: str = "") -> Job | None:
        """A job that has memory and is in the way."""
        return next((job for job in self._queue.running() if job.id != but and self.book.holds(job.id)), None)

    def _make_way(self, job: Job) -> None:
        left = self._turn_s - (self._clock() - self._since.get(job.id, 0.0))
        if not job.resumable:
            self._engine.say_waiting(f"waiting until “{job.title}” is done, which has the memory")
        elif left > 0:
            self._engine.say_waiting(f"waiting for the memory: “{job.title}” has it for another {ceil(left)} s")
            self._turn.start(round(left * 1000) + 1)
        elif job.id not in self._owed:
            self._owed_since = self._owed_since if self._owed else self._clock()
            self._owed[job.id] = job
            self.owes.emit(list(self._owed))
            self._engine.say_waiting(f"waiting until “{job.title}” has paused, which has the memory")
            self._decide(f"“{job.title}” pauses for a question")
            self._queue.pause(job.id)
            self.paused.emit(job)

    @Slot()
    def _try_load(self) -> None:
        call, self._load = self._load, None
        if call is not None and self._engine.waits(call) and self._may_load(call):
            self._engine.grant(call)

    # A job asks

    def _on_asked(self, job: Job, size_bytes: int, served: str) -> None:
        self._jobs[job.id] = (job, size_bytes)
        if served:
            self._served[job.id] = served
            self._count_ollama()
        self._try_jobs()

    @Slot()
    def _try_jobs(self) -> None:
        for job, needs in list(self._jobs.values()):
            if self.book.ask(job.id, needs):
                self._let(job, f"“{job.title}” takes {amount(needs)}")
            elif self._ollama_leaves(job.id):
                self._queue.answer_memory(job.id, False, "Ollama is giving its memory back")
            elif self._search_leaves(f"“{job.title}”"):
                self._queue.answer_memory(job.id, False, "The search's model is leaving the memory")
            elif words := self._in_the_way(job):
                self._queue.answer_memory(job.id, False, words)
            elif self.book.holds(CHAT):
                self._decide(f"the chat's model leaves for “{job.title}”")
                self._engine.unload(_while(job))
            else:
                room = self.book.room(job.id)
                self.book.book(job.id, needs)
                self._let(job, f"“{job.title}” needs {amount(needs)}, {amount(room)} is free: started all the same")

    def _in_the_way(self, job: Job) -> str:
        """What a job has to wait for, as it is told; "" for nothing that would end."""
        if self._engine.leaving:
            return "The chat's model is leaving the memory"
        if (other := self._holder(job.id)) is not None:
            return f"Waits for the memory of “{other.title}”"
        if self.book.holds(CHAT) and not self._engine.idle:
            return "Waits for the answer in Chat"
        if self.book.holds(CHAT) and self._owed and job.id not in self._owed:
            return "Waits until the chat was idle for a while"
        return ""

    def _let(self, job: Job, words: str) -> None:
        del self._jobs[job.id]
        if self._ollama is not None:
            self._ollama.forget(job.id)
        self._since[job.id] = self._clock()
        self._decide(words)
        self._queue.answer_memory(job.id, True)

    # Ollama

    def _ollama_leaves(self, who: object) -> bool:
        return self._ollama is not None and self._ollama.leaves(who)

    def _count_ollama(self) -> None:
        if self._ollama is not None:
            self._ollama.count()

    @Slot(object)
    def _on_given_back(self, size_bytes: int) -> None:
        if size_bytes:
            self._decide(f"Ollama gave {amount(size_bytes)} back")

    @Slot()
    def _go_on(self) -> None:
        """Ollama has answered, or takes too long to."""
        self._try_load()
        self._try_jobs()

    def _asked_of_ollama(self) -> set[str]:
        """Its models that the chat or a job answers with, or is about to: that memory is the chat's, or the job's."""
        bases = [self._engine.facts.get("base") if self._engine.has_base else None]
        bases += [self._load.fields["base"]] if self._load is not None else []
        return {name for base in bases if base and (name := model_of(Path(base)))} | set(self._served.values())

    # The search asks

    def _may_embed(self, size_bytes: int) -> bool:
        """The code search's gate; without its model it searches by words and names."""
        if self.book.ask(SEARCH, size_bytes):
            self._decide(f"the search's model takes {amount(size_bytes)}")
            return True
        self._decide(
            f"the search's model needs {amount(size_bytes)}, {amount(self.book.room(SEARCH))} is free: it waits"
        )
        return False

    def _search_leaves(self, who: str) -> bool:
        """Whether the search's model has memory and is on its way out."""
        if self._search is None or not self.book.holds(SEARCH):
            return False
        if not self._search_leaving:
            self._search_leaving = True
            self._decide(f"the search's model leaves for {who}")
            self._search.relieve()
        return True

    @Slot()
    def _on_search_memory(self) -> None:
        assert self._search is not None
        if self._search.holds:
            self.book.tell(SEARCH, self._search.holds)
            self.changed.emit()
            return
        self._search_leaving = False
        self.book.release(SEARCH)
        self.changed.emit()
        self._try_load()
        self._try_jobs()

    # What happens

    @Slot(str, object)
    def _on_told(self, job_id: str, size_bytes: int) -> None:
        self.book.tell(job_id, {JOB: size_bytes})
        self.changed.emit()

    @Slot()
    def _on_chat_memory(self) -> None:
        self.book.tell(CHAT, self._engine.holds)
        self._count_ollama()
        self.changed.emit()

    @Slot(object)
    def _on_job(self, job: Job) -> None:
        if job.id in self._owed and not _on_hold(job):
            self._settle([job.id])
        if job.status.active:
            return
        self._jobs.pop(job.id, None)
        self._since.pop(job.id, None)
        self.book.release(job.id)
        if self._served.pop(job.id, "") and self._ollama is not None:
            # As it was seen last, and as it is by now.
            self._ollama.count()
            self._ollama.look()
        self.changed.emit()
        if not any(other.lane is Lane.GPU for other in self._queue.running()):
            self._engine.forget_reason()
        self._try_load()
        self._try_jobs()

    @Slot(str)
    def _on_state(self, state: str) -> None:
        if state == "off" and not self._engine.leaving:
            self.book.release(CHAT)
            self._soon.start(0)
        if state in ("ready", "off") and self._load is not None and not self._engine.waits(self._load):
            # The question was taken back.
            self._load = None
            self._turn.stop()
        if state not in ("ready", "off"):
            self._idle.stop()

    @Slot()
    def _on_rested(self) -> None:
        # Not here: what ends one thing may begin the next in the same moment.
        self._soon.start(0)

    def _on_rest(self) -> None:
        self._try_load()
        if not self._engine.idle:
            return
        if not self._engine.has_base and not self._engine.leaving:
            # It could not be loaded.
            self.book.release(CHAT)
        self._try_jobs()
        if self._owed and not self._idle.isActive():
            if self._clock() - self._owed_since >= self._longest_s:
                self._give_back()
            else:
                self._idle.start()

    @Slot()
    def _on_left(self) -> None:
        if not self._engine.has_base:
            self.book.release(CHAT)
            self.changed.emit()
        self._try_load()
        self._try_jobs()

    @Slot()
    def _give_back(self) -> None:
        """The chat was idle for long enough, or had its turn: what paused for it goes on."""
        if self._owed and self._engine.idle:
            self.still_paused(list(self._owed), self._resume)

    def _resume(self, ids: Sequence[str]) -> None:
        gone = [ident for ident in self._owed if ident not in ids]
        if gone:
            self._settle(gone)
        if not self._owed or not self._engine.idle:
            return
        first = next(iter(self._owed.values()))
        self._engine.unload(_while(first))
        for job in list(self._owed.values()):
            self._decide(f"“{job.title}” goes on")
            self._queue.resume(job.id)
        self._settle(list(self._owed))

    def _settle(self, ids: Sequence[str]) -> None:
        for ident in ids:
            self._owed.pop(ident, None)
        if not self._owed:
            self._idle.stop()
        self.owes.emit(list(self._owed))


def _all_of_them(ids: Sequence[str], then: Callable[[Sequence[str]], None]) -> None:
    then(ids)


def _needs(base: Path) -> int:
    try:
        return base_needs(weight_bytes(base))
    except (AppError, OSError):
        # Who loads it says what is wrong.
        return 0


def _on_hold(job: Job) -> bool:
    """Whether it is about to pause, or has."""
    return job.status is JobState.PAUSED or (job.status.active and job.status is not JobState.QUEUED)


def _while(job: Job) -> str:
    return "while training runs" if job.kind == "training" else f"while “{job.title}” runs"
