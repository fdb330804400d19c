"""Worker handlers about base models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson

from core.errors import AppError
from core.models import folder as folders
from core.models.fingerprint import weight_files
from core.models.gguf_base import add_file
from core.models.practice import NAME, PRACTICE_ID, TRUTH, cached_folder, ensure_practice_model, text_folder
from core.models.practice_builder import PracticeConfig, build
from core.models.rendering import load_tokenizer
from core.workers.host import JobContext
from core.workspace.files import new_folder
from core.workspace.paths import models_cache

_PROBE = [
    {"role": "system", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"},
    {"role": "user", "content": "d"}, {"role": "assistant", "content": "e"},
]  # fmt: skip


def base_row(model_id: str, name: str, folder: Path, kind: str, notes: list[str]) -> dict[str, Any]:
    """A checked folder as a row of `base_models`: loads its tokenizer and renders a probe conversation."""
    config = folders.read_config(folder)
    with folders.reading(folder / "config.json"):
        facts = folders.describe(folder, config)
    tokenizer = load_tokenizer(folder)
    tokenizer.render(_PROBE)
    return {
        "id": model_id, "name": name, "path": str(folder), "kind": kind, "notes": notes,
        "template_hash": tokenizer.template_hash, **facts,
    }  # fmt: skip


def practice_row() -> dict[str, Any]:
    """The practice model, copied to the cache if needed, as a row."""
    return base_row(PRACTICE_ID, NAME, ensure_practice_model(), "practice", [TRUTH])


def add_base(context: JobContext) -> dict[str, Any]:
    """Handler of `add_base_model`: params {"path", "name", "ollama"}; "practice" as path adds the practice model.

    A path is a folder, or a GGUF file; `ollama` is the name of one that lies in Ollama's store.
    """
    if context.params["path"] == PRACTICE_ID:
        context.progress(0, 1, "Checking the practice model")
        row = practice_row()
    else:
        row = _added(context, Path(context.params["path"]), str(context.params.get("name") or ""))
    context.emit("base_model", row=row)
    return {"base_model_id": row["id"], "in": 1, "used": 1, "rejected": 0, "cut": 0}


def _added(context: JobContext, path: Path, name: str) -> dict[str, Any]:
    if path.is_file():
        return add_file(context, path, name, str(context.params.get("ollama") or ""))
    return add_folder(context, path, name)


def add_folder(
    context: JobContext,
    source: Path,
    name: str,
    *,
    kind: str = "folder",
    ident: str = "",
    note: str = "",
    earlier: Path | None = None,
) -> dict[str, Any]:
    """A folder with a base as a checked row; `note` says where it came from, in place of where its weights stay.

    `earlier` is the view of a base that was added from the same folder; it is used again.
    """
    if not source.is_dir():
        raise folders.not_a_model(source, "it is not a folder" if source.exists() else "there is no such folder")
    source = source.resolve()
    context.progress(0, 3, "Reading the configuration")
    with folders.reading(source / "config.json"):
        config = folders.read_config(source)
        folders.check_architecture(config, source)
        config, notes = folders.mended_config(config, source)
    for path in weight_files(source):
        folders.read_header(path)
    context.token.raise_if_cancelled()
    context.progress(1, 3, "Checking the tokenizer and the chat template")
    view = earlier or folders.make_view(source, config, models_cache())
    try:
        notes.append(note or f"Weights stay in {source}")
        row = base_row(ident or context.job_id, name or source.name, view, kind, notes)
        context.token.raise_if_cancelled()
        context.progress(2, 3, "Checking the weights against the architecture")
        _check_weights(view)
    except BaseException as error:
        if earlier is None:
            shutil.rmtree(view, ignore_errors=True)
        if isinstance(error, AppError):
            raise _naming(error, view, source) from error
        raise
    return row


def _naming(error: AppError, view: Path, source: Path) -> AppError:
    """The error with the user's folder in the place of the view, which is gone again."""
    text = orjson.dumps(error.to_json()).decode()
    for old, new in ((str(view), str(source)), (view.name, source.name)):
        text = text.replace(orjson.dumps(old).decode()[1:-1], orjson.dumps(new).decode()[1:-1])
    return AppError.from_json(orjson.loads(text))


def _check_weights(folder: Path) -> None:
    from mlx_lm.utils import load_model

    try:
        load_model(folder, lazy=True)
    except Exception as exc:
        raise AppError(
            "weights_do_not_fit",
            f"The weights in {folder.name} do not fit their configuration.",
            hint="Copy or download the whole folder again.",
            detail=repr(exc)[:2000],
        ) from exc


def build_practice(context: JobContext) -> dict[str, Any]:
    """Handler of `build_practice_model`: rebuild it from its text and put it into the models cache."""
    config = PracticeConfig(**context.params.get("config", {}))
    target = cached_folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(".tmp-replaced-practice")
    built = target.with_name("practice.new")
    shutil.rmtree(built, ignore_errors=True)
    with new_folder(built) as tmp:
        build(
            text_folder(), tmp, config,
            lambda done, total, words: context.progress(done, total, "Building the practice model", words),
            context.token,
        )  # fmt: skip
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    built.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    row = base_row(PRACTICE_ID, NAME, target, "practice", [TRUTH, "Built on this machine"])
    context.emit("base_model", row=row)
    return {"base_model_id": row["id"]}
