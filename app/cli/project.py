"""Projects without a window: one JSON object a line.

`add FOLDER` makes a folder of code a project and indexes it (again: brings the index up to date); `search` prints path,
lines, symbol and what each leg said; `status` what is indexed, left out and failed; `ask` answers with what was found.

Exit codes: 0 done; 1 nothing came out; 2 usage or lock; 3 something was left undone (files that failed, no answer).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.cli.arguments import MOST_TOKENS, Parser, add_vertical, refuse_unreadable
from app.cli.session import Session, run_session
from app.cli.steps import Steps
from core import jobs
from core.code_index.client import CodeClient
from core.code_index.embedders import AUTO, KNOWN, WORDS_ONLY, known
from core.code_index.query import plain_text
from core.code_index.scan import check_root
from core.code_index.spec import ProjectSpec
from core.errors import AppError, Cancelled
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, GenerateRequest, Sampling
from core.inference.ollama.address import address_of
from core.models import served
from core.models import store as models
from core.models.practice import PRACTICE_ID
from core.models.store import BaseModel
from core.projects import assistant, projects
from core.projects.assistant import Given
from core.projects.jobs import INDEX_JOB, give_up_older, index_params, spec_of
from core.projects.projects import Project
from core.training import store as training
from core.workspace.paths import Workspace

MOST_FOUND = 200
CONTEXT_FULL = "context_full"


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read the arguments. Raises AppError `usage`."""
    parser = Parser(prog="app project", description="Projects: folders of code that an assistant knows.")
    parser.add_argument("--workspace", type=Path, required=True)
    add_vertical(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="add|search|status|ask")
    add = commands.add_parser("add", help="make a folder a project and index it, or bring its index up to date")
    add.add_argument("folder", type=Path)
    add.add_argument("--name", default="", help="by default the folder's")
    add.add_argument(
        "--embedder", default="", metavar="NAME|DIR|none",
        help="an embedding model by name or folder; none searches by words and names alone",
    )  # fmt: skip
    search = commands.add_parser("search", help="find symbols")
    search.add_argument("name")
    search.add_argument("text", nargs="*", help="one query; with --queries none")
    search.add_argument("--queries", default="", metavar="FILE|-", help="one query a line, answered in order")
    search.add_argument("--k", type=int, default=10, metavar="N", help=f"1 to {MOST_FOUND}")
    search.add_argument("--json", action="store_true", help="JSON lines, as elsewhere; without it lines to read")
    status = commands.add_parser("status", help="what is indexed, left out and failed")
    status.add_argument("name")
    ask = commands.add_parser("ask", help="answer a question from the code")
    ask.add_argument("name")
    ask.add_argument("text")
    ask.add_argument("--max-tokens", type=int, default=400, metavar="N")
    options = parser.parse_args(list(args))
    refuse_unreadable(options.workspace, *(str(v) for v in vars(options).values() if isinstance(v, (str, Path))))
    _check(options)
    return options


def _check(options: argparse.Namespace) -> None:
    if options.command == "add":
        said = options.embedder
        # A folder may be gone for now: words are searched meanwhile. A name is known or wrong.
        named = said not in ("", AUTO, WORDS_ONLY) and not any(mark in said for mark in "/~")
        if named and known(said) is None and not Path(said).is_dir():
            raise _usage(
                f"There is no embedding model {said}.",
                f"Use one of {', '.join(model.key for model in KNOWN)}, none, or a folder.",
            )
        return
    if not Workspace(options.workspace).db_path.is_file():
        raise _usage(f"There is no workspace in {options.workspace}.", "Make one with: app project ... add FOLDER")
    options.vertical = ""
    if options.command == "search":
        options.text = " ".join(options.text)
        if not 1 <= options.k <= MOST_FOUND:
            raise _usage(f"--k {options.k} is not possible.", f"Use 1 to {MOST_FOUND}.")
        if bool(options.text.strip()) == bool(options.queries):
            raise _usage("Nothing to search for.", "Give one TEXT, or --queries FILE.")
    if options.command == "ask" and not 1 <= options.max_tokens <= MOST_TOKENS:
        raise _usage(f"--max-tokens {options.max_tokens} is not possible.", f"Use 1 to {MOST_TOKENS:,}.")
    if options.command == "ask" and not options.text.strip():
        raise _usage("The question is empty.", "Write what is asked, in quotation marks.")


def _usage(message: str, hint: str) -> AppError:
    return AppError("usage", message, hint=hint)


class ProjectCall:
    """One call over an open workspace."""

    def __init__(self, session: Session) -> None:
        self.session, self.db, self.out = session, session.db, session.out
        self.options, self.token = session.options, session.token

    def run(self) -> int:
        """Do what was asked; returns the exit code."""
        work: dict[str, Callable[[], int]] = {
            "add": self.add, "search": self.search, "status": self.status, "ask": self.ask,
        }  # fmt: skip
        return work[self.options.command]()

    def _client(self) -> CodeClient:
        return CodeClient(
            self.session.workspace.logs / "code.log", lambda error: self.out.line("notice", **error.to_json())
        )  # fmt: skip

    def _steps(self) -> Steps:
        return Steps(self.db, self.session.workspace, self.token, self.out, lambda _message: None, lambda _job: None)

    def add(self) -> int:
        """Make the project, or find it, and bring its index up to date."""
        root = self.options.folder.absolute()
        for warning in check_root(root, self.session.workspace.root):
            self.out.line("notice", message=warning)
        project = self._project(root.resolve())
        give_up_older(self.db, project.id)
        job = self._steps().run(
            jobs.create(self.db, INDEX_JOB, f"Index {project.name}", index_params(self.session.workspace, project))
        )
        for notice in job.result.get("notices", ()):
            self.out.line("notice", **notice)
        failed = int(job.result.get("failed", 0))
        self._report(projects.get(self.db, project.id), result=dict(job.result))
        return 3 if failed else 0

    def _project(self, root: Path) -> Project:
        there = next((p for p in projects.listing(self.db) if p.root == root), None)
        if there is None:
            return projects.add(self.db, root, self.options.name, embedder=self._embedder())
        if self.options.embedder:
            projects.update(self.db, there.id, embedder=self._embedder())
        if self.options.name and self.options.name != there.name:
            projects.rename(self.db, there.id, self.options.name)
        return projects.get(self.db, there.id)

    def _embedder(self) -> str:
        """As it is kept: a folder by its whole path, since the next call may come from elsewhere."""
        said = str(self.options.embedder)
        is_name = said in ("", AUTO, WORDS_ONLY) or known(said) is not None
        return said if is_name else str(Path(said).expanduser().absolute())

    def _report(self, project: Project, **more: Any) -> None:
        self.out.line("project", id=project.id, name=project.name, root=str(project.root), **more)

    def search(self) -> int:
        """Print what fits, best first; several queries are answered by one process."""
        project = projects.find(self.db, self.options.name)
        spec, queries = spec_of(self.session.workspace, project), self._queries()
        anything = False
        with self._client() as client:
            for text in queries:
                if (plain := plain_text(text)) is not None:
                    anything |= self._grep(client, spec, text, plain)
                    continue
                answer = client.search(spec, text, self.options.k, self.token)
                anything |= bool(answer["found"])
                self._print(text, answer)
        return 0 if anything else 1

    def _grep(self, client: CodeClient, spec: ProjectSpec, text: str, plain: str) -> bool:
        """Print the lines that hold what the query `text` asks for as it is written; whether there are any."""
        answer = client.grep(spec, plain, self.options.k, self.token)
        for line in answer["lines"]:
            if self.options.json:
                self.out.line("line", query=text, path=line["path"], line=line["number"], text=line["text"])
            else:
                sys.stdout.write(f"{line['path']}:{line['number']}: {line['text'].strip()}\n")
        if self.options.json:
            self.out.line("searched", query=text, found=len(answer["lines"]), notices=answer["notices"])
        else:
            sys.stdout.flush()
            sys.stderr.writelines(f"{notice}\n" for notice in answer["notices"])
        return bool(answer["lines"])

    def _queries(self) -> list[str]:
        if not self.options.queries:
            return [self.options.text]
        try:
            data = sys.stdin.buffer.read() if self.options.queries == "-" else Path(self.options.queries).read_bytes()
            lines = data.decode("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as exc:
            raise _usage(f"{self.options.queries} can't be read ({exc}).", "One query a line, in UTF-8.") from exc
        return [line.rstrip("\r") for line in lines if line.strip()]

    def _print(self, text: str, answer: Mapping[str, Any]) -> None:
        rest = {key: answer[key] for key in ("notices", "total", "seconds")}
        if not self.options.json:
            for number, found in enumerate(answer["found"], start=1):
                legs = "  ".join(f"{name} {rank}" for name, (rank, _score) in found["legs"].items())
                place = f"{found['path']}:{found['start_line']}-{found['end_line']}"
                sys.stdout.write(f"{number:3}  {place}  {found['qualified']}  [{legs}]\n")
            for notice in answer["notices"]:
                sys.stderr.write(f"{notice}\n")
            sys.stdout.flush()
            return
        for number, found in enumerate(answer["found"], start=1):
            self.out.line("found", query=text, rank=number, **_shown(found))
        self.out.line("searched", query=text, found=len(answer["found"]), **rest)

    def status(self) -> int:
        """Print what the index holds and what is wrong with it."""
        project = projects.find(self.db, self.options.name)
        with self._client() as client:
            found = client.status(spec_of(self.session.workspace, project))
        self._report(project, **found)
        return 0

    def ask(self) -> int:
        """Answer from the code with the project's base and adapter."""
        project = projects.find(self.db, self.options.name)
        base, adapter = self._who(project)
        with self._client() as client:
            budget = assistant.budget(base.context_length)
            found = client.context(spec_of(self.session.workspace, project), self.options.text, budget, self.token)
        if base.served:
            served.point(base.path, address_of(self.db))
        with InferenceClient(self.session.workspace.logs / "ask.log") as engine:
            engine.load(base.path, base.engine, self.token)
            given, said, result = self._answer(engine, Given.from_json(found), project, adapter)
        self.out.line("given", **given.to_json())
        places = [place.place for place in assistant.cited(said, given)]
        self.out.line(
            "answer", question=self.options.text, text=said, places=places, adapter=adapter.name if adapter else "",
            base=base.name, finish_reason=result["finish_reason"], stats=result["stats"],
        )  # fmt: skip
        return 0 if said.strip() else 3

    def _answer(
        self, engine: InferenceClient, given: Given, project: Project, adapter: AdapterRef | None
    ) -> tuple[Given, str, Mapping[str, Any]]:
        """Ask with as much of the code as the model can read."""
        while True:
            messages = [
                {"role": "system", "content": assistant.system_prompt(project.name)},
                {"role": "user", "content": assistant.compose(self.options.text, given)},
            ]
            request = GenerateRequest(messages, adapter, Sampling(0.0, max_tokens=self.options.max_tokens), fit=True)
            try:
                return given, *engine.generate(request, self.token)
            except AppError as error:
                less = assistant.fewer(given) if error.code == CONTEXT_FULL else None
                if less is None:
                    raise
                given = less

    def _who(self, project: Project) -> tuple[BaseModel, AdapterRef | None]:
        adapter = training.get_adapter(self.db, project.artifact_id) if project.artifact_id else None
        ident = adapter.base_model_id if adapter else project.base_model_id
        base = models.get(self.db, ident) if ident else models.default(self.db)
        if base is None:
            self._steps().run(jobs.create(self.db, "add_base_model", "Preparing practice model", {"path": PRACTICE_ID}))
            base = models.get(self.db, PRACTICE_ID)
        models.require_folder(base)
        if adapter is None:
            return base, None
        return base, AdapterRef(adapter.id, str(self.session.workspace.absolute(adapter.path)), adapter.name)


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    """A symbol that was found, without its text."""
    legs = {name: {"rank": rank, "score": score} for name, (rank, score) in found["legs"].items()}
    return {
        "path": found["path"], "lines": [found["start_line"], found["end_line"]], "symbol": found["qualified"],
        "kind": found["kind"], "language": found["language"], "signature": found["signature"],
        "score": found["score"], "scores": legs, "stale": found["stale"],
    }  # fmt: skip


def _work(session: Session) -> int:
    try:
        session.settle()
        return ProjectCall(session).run()
    except Cancelled:
        session.out.error(AppError("stopped", "It was stopped.", hint="What was indexed is kept; start it again."))
        return 1
    except AppError as error:
        session.out.error(error)
        return 2 if error.code in ("usage", "no_such_project") else 1
    except Exception as exc:
        session.out.error(session.explain(exc))
        return 1


def main(args: Sequence[str]) -> int:
    """Entry of `python -m app project`."""
    return run_session(args, parse, _work)
