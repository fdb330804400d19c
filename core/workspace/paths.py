"""Paths: the folders of a workspace, of the shipped resources and of the base models."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from core.errors import AppError

APP_NAME = "Bright Run"
# In the folder of base models: what was downloaded, and what was quantised here.
HUB, QUANTISED = "hub", "quantised"


def source_root() -> Path:
    """The checkout, or the folder PyInstaller unpacked the bundle into."""
    bundled = getattr(sys, "_MEIPASS", None)
    return Path(bundled) if bundled else Path(__file__).resolve().parents[2]


def resources() -> Path:
    """Shipped data, read-only."""
    return source_root() / "resources"


def user_data() -> Path:
    """The platform's data folder of the application; `BRIGHTRUN_DATA` moves it (tests, portable use)."""
    override = os.environ.get("BRIGHTRUN_DATA")
    return Path(override) if override else Path(platformdirs.user_data_dir(APP_NAME, appauthor=False))


def models_cache() -> Path:
    """Base models: in the checkout when run from source, else in the user's data folder."""
    override = os.environ.get("BRIGHTRUN_MODELS")
    if override:
        return Path(override)
    frozen = getattr(sys, "frozen", False)
    return user_data() / "models" if frozen else source_root() / "models_cache"


@dataclass(frozen=True)
class Workspace:
    """One workspace folder. Paths in the database are relative to `root`."""

    root: Path

    @property
    def db_path(self) -> Path:
        """The SQLite file."""
        return self.root / "workspace.db"

    @property
    def conversations(self) -> Path:
        """One folder a conversation: raw.json, parsed.json, enriched.json."""
        return self.root / "conversations"

    @property
    def training_files(self) -> Path:
        """One folder a training file, one folder a version below it."""
        return self.root / "training_files"

    @property
    def datasets(self) -> Path:
        """One folder a dataset."""
        return self.root / "datasets"

    @property
    def runs(self) -> Path:
        """One folder a job: spec.json, events.jsonl, lock, worker.log, checkpoints."""
        return self.root / "runs"

    @property
    def adapters(self) -> Path:
        """One folder an adapter, in mlx-lm's layout."""
        return self.root / "adapters"

    @property
    def projects(self) -> Path:
        """One folder a project: what its code says, as an index; may be made again from the code."""
        return self.root / "projects"

    @property
    def embeddings(self) -> Path:
        """Vectors of code by model, shared by projects; may be deleted at any time."""
        return self.root / "caches" / "embeddings"

    @property
    def prompt_caches(self) -> Path:
        """What models have read of chats, one file an entry; may be deleted at any time."""
        return self.root / "caches" / "prompts"

    @property
    def backups(self) -> Path:
        """Copies of the database made before a migration."""
        return self.root / "backups"

    @property
    def logs(self) -> Path:
        """Rotating log and crash report."""
        return self.root / "logs"

    def folders(self) -> list[Path]:
        """All folders a workspace has."""
        return [
            self.conversations, self.training_files, self.datasets, self.runs,
            self.adapters, self.backups, self.logs,
        ]  # fmt: skip

    def create(self) -> None:
        """Make the folders. Raises AppError `workspace_not_writable`."""
        try:
            for folder in [self.root, *self.folders()]:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise self.not_writable(exc) from exc

    def require(self) -> None:
        """Raise AppError `not_a_workspace` for a folder that holds none."""
        if not self.db_path.is_file():
            raise AppError(
                "not_a_workspace",
                f"There is no workspace in {self.root}.",
                hint=f"Choose a folder with the file {self.db_path.name}, or make a new workspace.",
            )

    def not_writable(self, exc: OSError) -> AppError:
        """The error for a folder that can't be used as a workspace."""
        return AppError(
            "workspace_not_writable",
            f"The workspace folder {self.root} can't be created or written ({exc.strerror or exc}).",
            hint="Choose another folder with --workspace, or change the folder's permissions.",
            detail=repr(exc),
        )

    def relative(self, path: Path) -> str:
        """`path` as it is kept in the database."""
        return path.resolve().relative_to(self.root.resolve()).as_posix()

    def absolute(self, relative: str) -> Path:
        """The reverse of `relative`."""
        return self.root / relative


def default_workspace() -> Workspace:
    """The workspace that opens when none is named."""
    return Workspace(user_data() / "workspace")


def workspaces_folder() -> Path:
    """Where workspaces are put that are made by name."""
    return user_data() / "workspaces"


def sample_workspace() -> Workspace:
    """Where "Open sample workspace" puts it."""
    return Workspace(user_data() / "sample workspace")
