"""The memory arbiter: chat and jobs ask before they load, and this decides what leaves, in a stated order.

What fits beside the others is loaded. Else an idle chat model leaves for a job; for a question, the job that has the
memory pauses at its next checkpoint and goes on once the chat was idle for a while. Each of the two keeps the memory
for a turn before it has to leave again, so neither starves the other. An answer under way is never cut. Where only
other programs are in the way it is loaded all the same, and said: an estimate must not lock anybody out.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.engine_calls import Call
from app.inference import InferenceService
from app.jobs.queue import JobQueue
from core import memory
from core.inference.arbiter import CHAT, JOB, Arbiter, base_needs
from core.jobs import Job, JobState
from core.lanes import Lane
from core.memory import Memory
from core.models.fingerprint import weight_files

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

    `paused(Job)`: it left for a question, and goes on by itself. `owes(job_id)`: to be remembered over a restart, ""
    once it is settled.
    """

    changed = Signal()
    paused = Signal(object)
    owes = Signal(str)

    def __init__(
        self,
        engine: InferenceService,
        queue: JobQueue,
        parent: QObject | None = None,
        *,
        read: Callable[[], Memory] | None = None,
        idle_ms: int = IDLE_MS,
        turn_s: float = TURN_S,
        longest_s: float = LONGEST_CHAT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._engine, self._queue, self._clock = engine, queue, clock
        self._turn_s, self._longest_s = turn_s, longest_s
        self.book = Arbiter(read or memory.read)
        self.decisions: deque[Decision] = deque(maxlen=KEPT)
        self._jobs: dict[str, tuple[Job, int]] = {}
        self._since: dict[str, float] = {}
        self._load: Call | None = None
        self._owed: Job | None = None
        self._owed_since = 0.0
        self._idle = self._timer(self._give_back)
        self._idle.setInterval(idle_ms)
        self._turn = self._timer(self._try_load)
        self._soon = self._timer(self._on_rest)
        engine.gate = self._may_load
        engine.state_changed.connect(self._on_state)
        engine.memory_changed.connect(self._on_chat_memory)
        engine.left.connect(self._on_left)
        queue.on_memory_asked = self._on_asked
        queue.memory_told.connect(self._on_told)
        queue.job_changed.connect(self._on_job)

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
        needs = _needs(Path(call.fields["base"]))
        if self.book.ask(CHAT, needs):
            self._decide(f"the chat's model takes {_size(needs)}")
            return True
        job = self._holder()
        if job is None:
            room = self.book.room(CHAT)
            self.book.book(CHAT, needs)
            self._decide(f"the chat's model needs {_size(needs)}, {_size(room)} is free: loaded all the same")
            return True
        self._load = call
        self._make_way(job)
        return False

    def has_room(self, base: Path) -> bool:
        """Whether that base could be loaded now without anybody having to leave."""
        waiting = sum(needs for _, needs in self._jobs.values())
        return _needs(base) <= self.book.room(CHAT) - waiting

    def _holder(self) -> Job | None:
        """The job that has memory and is in the way."""
        return next((job for job in self._queue.running() if self.book.holds(job.id)), None)

    def _make_way(self, job: Job) -> None:
        left = self._turn_s - (self._clock() - self._since.get(job.id, 0.0))
        if not job.resumable:
            self._engine.say_waiting(f"waiting until “{job.title}” is done, which has the memory")
        elif left > 0:
            self._engine.say_waiting(f"waiting for the memory: “{job.title}” has it for another {ceil(left)} s")
            self._turn.start(round(left * 1000) + 1)
        elif self._owed is None or self._owed.id != job.id:
            self._owed, self._owed_since = job, self._clock()
            self.owes.emit(job.id)
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

    def _on_asked(self, job: Job, size_bytes: int) -> None:
        self._jobs[job.id] = (job, size_bytes)
        self._try_jobs()

    @Slot()
    def _try_jobs(self) -> None:
        for job, needs in list(self._jobs.values()):
            if self.book.ask(job.id, needs):
                self._let(job, f"“{job.title}” takes {_size(needs)}")
            elif self._engine.leaving:
                self._queue.answer_memory(job.id, False, "The chat's model is leaving the memory")
            elif not self.book.holds(CHAT):
                room = self.book.room(job.id)
                self.book.book(job.id, needs)
                self._let(job, f"“{job.title}” needs {_size(needs)}, {_size(room)} is free: started all the same")
            elif self._engine.idle:
                self._decide(f"the chat's model leaves for “{job.title}”")
                self._engine.unload(_while(job))
            else:
                self._queue.answer_memory(job.id, False, "Waits for the answer in Chat")

    def _let(self, job: Job, words: str) -> None:
        del self._jobs[job.id]
        self._since[job.id] = self._clock()
        self._decide(words)
        self._queue.answer_memory(job.id, True)

    # What happens

    @Slot(str, object)
    def _on_told(self, job_id: str, size_bytes: int) -> None:
        self.book.tell(job_id, {JOB: size_bytes})
        self.changed.emit()

    @Slot()
    def _on_chat_memory(self) -> None:
        self.book.tell(CHAT, self._engine.holds)
        self.changed.emit()

    @Slot(object)
    def _on_job(self, job: Job) -> None:
        if self._owed is not None and job.id == self._owed.id and not _on_hold(job):
            self._settle()
        if job.status.active:
            return
        self._jobs.pop(job.id, None)
        self._since.pop(job.id, None)
        self.book.release(job.id)
        self.changed.emit()
        if not any(other.lane is Lane.GPU for other in self._queue.running()):
            self._engine.forget_reason()
        self._try_load()

    @Slot(str)
    def _on_state(self, state: str) -> None:
        if state == "off" and not self._engine.leaving:
            self._on_left()
        if state in ("ready", "off") and self._load is not None and not self._engine.waits(self._load):
            # The question was taken back.
            self._load = None
            self._turn.stop()
        if state not in ("ready", "off"):
            self._idle.stop()
        else:
            # Not here: who was just told that an answer is done may ask the next thing, as a comparison does.
            self._soon.start(0)

    def _on_rest(self) -> None:
        if not self._engine.idle:
            return
        if self._jobs:
            self._try_jobs()
        if self._owed is not None and not self._idle.isActive():
            if self._clock() - self._owed_since >= self._longest_s:
                self._give_back()
            else:
                self._idle.start()

    @Slot()
    def _on_left(self) -> None:
        if self._engine.state == "off":
            self.book.release(CHAT)
            self.changed.emit()
        self._try_jobs()

    @Slot()
    def _give_back(self) -> None:
        """The chat was idle for long enough, or had its turn: the job goes on."""
        job = self._owed
        if job is None or not self._engine.idle or job.id in {other.id for other in self._queue.running()}:
            return
        self._decide(f"“{job.title}” goes on")
        self._engine.unload(_while(job))
        self._queue.resume(job.id)
        self._settle()

    def _settle(self) -> None:
        self._owed = None
        self._idle.stop()
        self.owes.emit("")


def _needs(base: Path) -> int:
    return base_needs(sum(path.stat().st_size for path in weight_files(base)))


def _on_hold(job: Job) -> bool:
    """Whether it is about to pause, or has."""
    return job.status is JobState.PAUSED or (job.status.active and job.status is not JobState.QUEUED)


def _while(job: Job) -> str:
    return "while training runs" if job.kind == "training" else f"while “{job.title}” runs"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
