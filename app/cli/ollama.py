"""Ollama without a window: one JSON object a line.

`status` how it is and what it holds in memory; `start` it on this machine; `list` its models; `pull NAME` fetches one
and takes it as a base, `take NAME` one that is there; `delete NAME` one of its store. `share ADAPTER NAME` makes an
adapter a model there, for other programs, and compares the two; `unshare NAME` takes it out again; `shared` lists them.
`practice` puts the practice model in.

Exit codes: 0 done; 1 it could not be done; 2 usage or lock.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.cli.arguments import Parser, add_vertical, refuse_unreadable
from app.cli.session import Session, run_session
from app.cli.steps import Steps
from core import jobs
from core.adapters import shares, siblings
from core.errors import AppError, Cancelled
from core.inference.ollama.address import SETTING, default_address, read_address
from core.inference.ollama.host import OllamaHost, start
from core.inference.ollama.seen import State, full_name
from core.jobs import Job
from core.models import store as models
from core.models.store import BaseModel
from core.training import store as training
from core.training.store import Adapter
from core.workspace import settings


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read the arguments. Raises AppError `usage` or `bad_address`."""
    parser = Parser(prog="app ollama", description="Ollama as the host of base models.")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument(
        "--address", default="", metavar="HOST:PORT", help="by default that of the workspace's settings"
    )
    add_vertical(parser)
    names = "status|start|list|pull|take|practice|delete|share|unshare|shared"
    commands = parser.add_subparsers(dest="command", required=True, metavar=names)
    for name, words in (
        ("status", "how it is"), ("start", "start it on this machine"), ("list", "its models"),
        ("shared", "adapters that are models in it"),
        ("practice", "put the practice model into it, and take it as a base"),
    ):  # fmt: skip
        commands.add_parser(name, help=words)
    for name, words in (
        ("pull", "fetch a model and take it as a base"), ("take", "take a model as a base"),
        ("delete", "delete a model from its store"), ("unshare", "take a shared adapter out of it"),
    ):  # fmt: skip
        command = commands.add_parser(name, help=words)
        command.add_argument("name")
        if name == "delete":
            command.add_argument("--anyway", action="store_true", help="also what something here depends on")
    share = commands.add_parser("share", help="make an adapter a model in it")
    share.add_argument("adapter")
    share.add_argument("name")
    share.add_argument(
        "--base", default="", metavar="NAME", help="one of Ollama's models (default: the first that fits)"
    )
    share.add_argument("--fused", action="store_true", help="base and adapter as one file, which costs the disk")
    options = parser.parse_args(list(args))
    refuse_unreadable(options.workspace, *(str(v) for v in vars(options).values() if isinstance(v, (str, Path))))
    if not getattr(options, "name", "x").strip():
        raise AppError("usage", "The name is empty.", hint="Name a model as list shows it.")
    if options.address:
        options.address = read_address(options.address)
    return options


class OllamaCall:
    """One call over an open workspace."""

    def __init__(self, session: Session) -> None:
        self.session, self.db, self.out, self.options = session, session.db, session.out, session.options
        stored = str(settings.get(self.db, SETTING, ""))
        self.address = self.options.address or stored or default_address()

    def run(self) -> int:
        """Do what was asked; returns the exit code."""
        work: dict[str, Callable[[], int]] = {
            "status": self.status, "start": self.start, "list": self.list, "pull": self.pull, "take": self.take,
            "delete": self.delete, "share": self.share, "unshare": self.unshare, "shared": self.shared,
            "practice": self.practice,
        }  # fmt: skip
        return work[self.options.command]()

    def _job(self, kind: str, title: str, params: Mapping[str, Any]) -> Job:
        session = self.session
        steps = Steps(self.db, session.workspace, session.token, self.out, lambda _event: None, lambda _job: None)
        return steps.run(jobs.create(self.db, kind, title, {"address": self.address, **params}))

    def status(self) -> int:
        """Print how it is; 1 where it does not answer."""
        with OllamaHost(self.address) as host:
            seen = host.look()
        held = [{"name": one.name, "bytes": one.size_bytes, "context": one.context} for one in seen.held]
        error = seen.error.to_json() if seen.error is not None else None
        self.out.line("ollama", state=str(seen.state), address=seen.address, version=seen.version,
                      program=seen.program, models=len(seen.models), holds=held, error=error)  # fmt: skip
        return 0 if seen.state is State.RUNNING else 1

    def start(self) -> int:
        """Start it, unless it runs."""
        with OllamaHost(self.address) as host:
            if host.look().state is not State.RUNNING:
                start(self.address, self.session.workspace.logs / "ollama.log", self.session.token)
        return self.status()

    def list(self) -> int:
        """Print its models; `base` is the name of the base here."""
        bases = {base.ollama: base.name for base in models.listing(self.db) if base.ollama}
        with OllamaHost(self.address) as host:
            for one in host.models():
                self.out.line("model", **one.to_json(), base=bases.get(one.name))
        return 0

    def pull(self) -> int:
        """Fetch and take."""
        return self._take("pull_ollama", f"Pulling {self.options.name}", pull=True)

    def take(self) -> int:
        """Take what is there."""
        return self._take("take_ollama", f"Adding {self.options.name}", pull=False)

    def practice(self) -> int:
        """Put the practice model in."""
        return self._take("practice_to_ollama", "Putting the practice model into Ollama", pull=False)

    def _take(self, kind: str, title: str, *, pull: bool) -> int:
        done = self._job(kind, title, {"name": getattr(self.options, "name", ""), "pull": pull})
        if siblings.unchecked(self.db):
            self._job("compare_bases", "Comparing base models", {})
        base = models.get(self.db, str(done.result["base_model_id"]))
        fit = siblings.fitting(self.db)[base.id] - {base.id}
        names = [one.name for one in models.listing(self.db) if one.id in fit]
        self.out.line("base", id=base.id, name=base.name, ollama=base.ollama, path=str(base.path), same_model_as=names)
        return 0

    def delete(self) -> int:
        """Delete a model of its store; one that something here depends on only where that is asked for."""
        name = full_name(self.options.name)
        with OllamaHost(self.address) as host:
            # Ollama takes a name in several spellings; the file says which model is meant.
            file, before = host.details(name).file, {one.name for one in host.models()}
        listed = models.listing(self.db)
        base = next((base for base in listed if base.ollama == name or (file and base.path == file)), None)
        if base is not None and not self.options.anyway:
            fit = siblings.fitting(self.db)[base.id]
            adapters = [a.name for a in training.list_adapters(self.db) if a.base_model_id in fit]
            raise AppError(
                "in_use", f"{name} is the base {base.name} here: without its file it can't answer any more.",
                hint=f"Its adapters: {', '.join(adapters) or 'none'}. To delete it all the same: delete NAME --anyway.",
            )  # fmt: skip
        with OllamaHost(self.address) as host:
            host.delete(name)
            gone = before - {one.name for one in host.models()}
        for one in gone:
            shares.drop(self.db, one, self.address)
        self.out.line("deleted", name=next(iter(gone), name))
        return 0

    def share(self) -> int:
        """Make an adapter a model there."""
        adapter = self._adapter()
        base = self._base(adapter)
        done = self._job(
            "share_adapter", f"Sharing {adapter.name}",
            {"adapter_id": adapter.id, "base_id": base.id, "name": self.options.name, "fused": self.options.fused},
        )  # fmt: skip
        self.out.line("shared", adapter=adapter.name, base=base.ollama, **dict(done.result))
        return 0

    def unshare(self) -> int:
        """Take a shared adapter out."""
        params = {"name": self.options.name, "address": self.options.address}
        done = self._job("unshare_adapter", f"Taking {self.options.name} out of Ollama", params)
        # Another model of that name is nobody's to delete but its owner's.
        self.out.line("unshared", name=full_name(self.options.name), stays=bool(done.result.get("stays")))
        return 0

    def shared(self) -> int:
        """List what is shared."""
        for one in shares.listing(self.db):
            self.out.line("share", name=one.name, address=one.address, adapter=one.adapter_name, way=one.way,
                          same=one.same, asked=one.asked, current=one.is_current,
                          created_at=one.created_at)  # fmt: skip
        return 0

    def _adapter(self) -> Adapter:
        listed = training.list_adapters(self.db)
        found = next((a for a in listed if self.options.adapter in (a.id, a.name)), None)
        if found is None:
            known = ", ".join(dict.fromkeys(a.name for a in listed)) or "none yet"
            raise AppError("no_such_adapter", f"There is no adapter “{self.options.adapter}” in this workspace.",
                           hint=f"Known: {known}.")  # fmt: skip
        return found

    def _base(self, adapter: Adapter) -> BaseModel:
        fit = siblings.fitting(self.db)
        listed = [base for base in models.listing(self.db) if base.ollama]
        wanted = self.options.base and full_name(self.options.base)
        found = next(
            (b for b in listed if adapter.base_model_id in fit[b.id] and wanted in ("", b.ollama)), None
        )  # fmt: skip
        if found is None:
            named = next((b for b in listed if wanted == b.ollama), None)
            why = siblings.why_not(self.db, adapter, named) if named is not None else ""
            raise AppError(
                "wrong_base", why or f"No base in Ollama is the model that {adapter.name} was trained on.",
                hint=f"Pull or take that model ({adapter.base_name}) as GGUF first: app ollama ... pull NAME",
            )  # fmt: skip
        return found


def _work(session: Session) -> int:
    try:
        session.settle()
        return OllamaCall(session).run()
    except Cancelled:
        session.out.error(AppError("stopped", "It was stopped.", hint="Start it again; what had come is kept."))
        return 1
    except Exception as exc:
        session.out.error(session.explain(exc))
        return 1


def main(args: Sequence[str]) -> int:
    """Entry of `python -m app ollama`."""
    return run_session(args, parse, _work)
