"""Questions to a base model and its adapters without a window: one JSON object a line, statistics in the last one.

Several texts are one conversation. Each adapter named answers all of it with its own history, `none` is the base alone;
switched in place between two answers, nothing is loaded twice. An adapter is asked with the system prompt that it was
trained with, unless `--system` says otherwise.

Exit codes: 0 everything was answered; 1 nothing; 2 usage or lock; 3 some.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.cli.arguments import MOST_TOKENS, Parser, refuse_unreadable
from app.cli.session import Session, run_session
from app.cli.steps import Steps
from core import jobs
from core.adapters import siblings
from core.db import Database
from core.errors import AppError, Cancelled
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, GenerateRequest, Sampling
from core.inference.ollama.address import address_of, listens
from core.models import served
from core.models import store as models
from core.models.served import Served
from core.models.store import BaseModel
from core.registries import ENGINES
from core.training import store as training
from core.training.store import Adapter
from core.workspace.paths import Workspace

NONE = "none"
MOST_SEED = (1 << 63) - 1


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read the arguments. Raises AppError `usage`."""
    parser = Parser(prog="app ask", description="Ask a base model and its adapters.")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--base", default="", metavar="NAME", help="by default the adapter's, else the workspace's")
    parser.add_argument(
        "--engine", default="", choices=ENGINES.names(), help="who answers: the same model in the format of that engine"
    )
    parser.add_argument(
        "--adapter", action="append", default=[], metavar="NAME|none", help="may be given several times"
    )
    parser.add_argument("--system", default=None, metavar="TEXT", help="instead of the one an adapter was trained with")
    parser.add_argument("--max-tokens", type=int, default=256, metavar="N", help="of one answer")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0 gives the same answer each time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("text", nargs="+", metavar="TEXT", help="questions, in the order of the conversation")
    # No workspace is made here, so none is asked what it is for.
    parser.set_defaults(vertical="")
    options = parser.parse_args(list(args))
    refuse_unreadable(options.workspace, options.base, *options.adapter, *options.text, options.system)
    if not Workspace(options.workspace).db_path.is_file():
        raise _usage(f"There is no workspace in {options.workspace}.", "Make one with the window or the pipeline.")
    if not 1 <= options.max_tokens <= MOST_TOKENS:
        raise _usage(f"--max-tokens {options.max_tokens} is not possible.", f"Use 1 to {MOST_TOKENS:,}.")
    if not 0 <= options.seed <= MOST_SEED:
        raise _usage(f"--seed {options.seed} is not possible.", f"Use 0 to {MOST_SEED:,}.")
    if not 0 <= options.temperature <= 2:
        raise _usage(f"--temperature {options.temperature:g} is not possible.", "Use 0 to 2.")
    if empty := [number for number, text in enumerate(options.text, start=1) if not text.strip()]:
        raise _usage(f"Question {empty[0]} is empty.", "Write what is asked, in quotation marks.")
    return options


def _usage(message: str, hint: str) -> AppError:
    return AppError("usage", message, hint=hint)


@dataclass
class _Speaker:
    """Who answers, with its own history. `adapter` None is the base alone."""

    name: str
    adapter: AdapterRef | None
    messages: list[dict[str, str]] = field(default_factory=list)
    silent: bool = False


def find_speakers(db: Database, workspace: Workspace, options: argparse.Namespace) -> tuple[BaseModel, list[_Speaker]]:
    """The base and who answers on it. Raises AppError `no_such_base`, `no_such_adapter` or `wrong_base`."""
    found = [None if name == NONE else _adapter(db, name, options.base) for name in options.adapter or [NONE]]
    # One that is named twice, or once by its id, answers once.
    adapters = list({adapter.id if adapter is not None else "": adapter for adapter in found}.values())
    base = _base(db, options.base, next((adapter for adapter in adapters if adapter is not None), None))
    if options.engine and base.engine != options.engine:
        base = _in_format(db, base, options.engine)
    out = []
    for adapter in adapters:
        if adapter is not None and (why := siblings.why_not(db, adapter, base)):
            other = "Use --engine mlx or gguf for an adapter." if base.served else "Ask adapters of one base at a time."
            raise AppError("wrong_base", why, hint=other)
        system = options.system
        if system is None:
            system = str(adapter.passport.get("system_prompt") or "") if adapter is not None else ""
        messages = [{"role": "system", "content": system}] if system else []
        reference = None
        if adapter is not None:
            reference = AdapterRef(adapter.id, str(workspace.absolute(adapter.path)), adapter.name)
        out.append(_Speaker(adapter.name if adapter is not None else NONE, reference, messages))
    return base, out


def _adapter(db: Database, name: str, base: str) -> Adapter:
    listed = training.list_adapters(db)
    found = [a for a in listed if name in (a.id, a.name)]
    # Of several with one name it is the newest on the base that is asked for, or on its sibling.
    on_base = [b for b in models.listing(db) if base and base in (b.id, b.name, b.ollama)]
    fit = siblings.fitting(db).get(on_base[0].id, frozenset()) if on_base else frozenset()
    if found:
        return next((a for a in found if a.base_model_id in fit), found[0])
    known = ", ".join(dict.fromkeys(a.name for a in listed)) or "none yet"
    raise AppError("no_such_adapter", f"There is no adapter “{name}” in this workspace.", hint=f"Known: {known}.")


def _base(db: Database, name: str, adapter: Adapter | None) -> BaseModel:
    if not name and adapter is not None:
        return models.get(db, adapter.base_model_id)
    listed = models.listing(db)
    found = next((m for m in listed if name in (m.id, m.name, m.ollama)), None) if name else models.default(db)
    if found is None:
        known = ", ".join(m.name for m in listed) or "none yet; the command pipeline adds one"
        what = f"There is no base model “{name}” in this workspace." if name else "This workspace has no base model."
        raise AppError("no_such_base", what, hint=f"Known: {known}.")
    return found


def _in_format(db: Database, base: BaseModel, engine: str) -> BaseModel:
    """The same model in the format of another engine. Raises AppError `no_such_base`."""
    fit = siblings.fitting(db)
    same = [base, *(o for o in models.listing(db) if base.id in fit[o.id] or o.id in fit[base.id])]
    if (found := next((other for other in same if other.engine == engine), None)) is not None:
        return found
    if engine == served.ENGINE and (known := next((other for other in same if other.ollama), None)) is not None:
        # What Ollama has can also be asked of Ollama itself.
        path = served.write(f"{known.id}-asked", Served(address_of(db), known.ollama, known.size_bytes))
        return replace(known, engine=engine, path=path)
    raise AppError(
        "no_such_base", f"There is no base in the format of {engine} that is the same model as {base.name}.",
        hint="Add it on the Adapters page, or from Ollama: app ollama ... take NAME",
    )  # fmt: skip


def bring(session: Session) -> None:
    """A base that only Ollama knows by now is taken from it, and what was not compared yet is compared."""
    db, wanted = session.db, session.options.base
    steps = Steps(db, session.workspace, session.token, session.out, lambda _event: None, lambda _job: None)
    address = address_of(db)
    known = any(wanted in (base.id, base.name, base.ollama) for base in models.listing(db))
    if wanted and not known and listens(address):
        from core.inference.ollama.host import OllamaHost

        with OllamaHost(address) as host:
            found = host.look().model(wanted)
        if found is not None:
            params = {"name": found.name, "address": address, "pull": False}
            steps.run(jobs.create(db, "take_ollama", f"Adding {found.name}", params))
    if (wanted or session.options.engine) and siblings.unchecked(db):
        steps.run(jobs.create(db, "compare_bases", "Comparing base models", {}))


class Ask:
    """One call over an open workspace."""

    def __init__(self, session: Session, base: BaseModel, speakers: Sequence[_Speaker]) -> None:
        self.session, self.out, self.options = session, session.out, session.options
        self.base, self.speakers = base, speakers
        self.answered = self.failed = 0
        self.tokens, self.switches = 0, [0.0]
        self._client: InferenceClient | None = None

    def run(self) -> None:
        """Ask everything. Raises AppError when the base can't be loaded."""
        try:
            for text in self.options.text:
                for speaker in self.speakers:
                    if not speaker.silent and not self.session.token.cancelled:
                        self._ask(self._client or self._open(), speaker, text)
        finally:
            self._close()

    def _open(self) -> InferenceClient:
        """A process with the base loaded; one that ends while it loads is said, and another one tries it once more."""
        try:
            return self._load()
        except AppError as error:
            if error.code != "worker_crashed":
                raise
            self.out.error(error)
            self._close()
            return self._load()

    def _load(self) -> InferenceClient:
        client = self._client = InferenceClient(self.session.workspace.logs / "ask.log")
        loaded = client.load(self.base.path, self.base.engine, self.session.token)
        self.out.line("base", name=self.base.name, seconds=loaded["seconds"], bytes=loaded["bytes"])
        return client

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def report(self) -> int:
        """Print the statistics; returns the exit code."""
        asked = len(self.options.text) * len(self.speakers)
        code = 0 if self.answered == asked else 3 if self.answered else 1
        self.out.line(
            "report", asked=asked, answered=self.answered, failed=self.failed,
            not_asked=asked - self.answered - self.failed, tokens=self.tokens, slowest_switch_s=max(self.switches),
            exit_code=code,
        )  # fmt: skip
        return code

    def _ask(self, client: InferenceClient, speaker: _Speaker, text: str) -> None:
        sampling = Sampling(self.options.temperature, max_tokens=self.options.max_tokens, seed=self.options.seed)
        speaker.messages.append({"role": "user", "content": text})
        request = GenerateRequest(list(speaker.messages), speaker.adapter, sampling, keep=speaker.name)
        parts: list[str] = []
        try:
            said, result = client.generate(request, self.session.token, parts.append)
        except Cancelled:
            self._keep(speaker, text, parts)
            return
        except AppError as error:
            # What comes later in its conversation would hang in the air.
            self.failed, speaker.silent = self.failed + 1, True
            self._keep(speaker, text, parts)
            self.out.error(error)
            if error.code == "worker_crashed":
                # Another process answers who is asked next.
                self._close()
            return
        speaker.messages.append({"role": "assistant", "content": said})
        stats: Mapping[str, Any] = result["stats"]
        self.answered += 1
        self.tokens += int(stats.get("tokens", 0))
        self.switches.append(float(stats.get("switch_s", 0.0)))
        self.out.line("answer", adapter=speaker.name, question=text, text=said,
                      finish_reason=result["finish_reason"], stats=stats)  # fmt: skip

    def _keep(self, speaker: _Speaker, text: str, parts: Sequence[str]) -> None:
        """What had come of an answer that did not end."""
        if said := "".join(parts):
            self.out.line("partial", adapter=speaker.name, question=text, text=said)


def _work(session: Session) -> int:
    try:
        session.settle()
        bring(session)
        base, speakers = find_speakers(session.db, session.workspace, session.options)
        models.require_folder(base)
        if base.served:
            served.point(base.path, address_of(session.db))
    except Exception as exc:
        session.out.error(session.explain(exc))
        return 2
    call = Ask(session, base, speakers)
    try:
        call.run()
    except Cancelled:
        # The report says what was not asked.
        pass
    except Exception as exc:
        session.out.error(session.explain(exc))
    return call.report()


def main(args: Sequence[str]) -> int:
    """Entry of `python -m app ask`."""
    return run_session(args, parse, _work)
