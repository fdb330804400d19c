"""Worker handler that exports an adapter: in a layout, with its passport and a few lines for whoever gets it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.adapters.work import adapter_of, base_of
from core.errors import AppError, Where
from core.registries import ADAPTER_FORMATS
from core.training.exports import AdapterFormat, Exported
from core.training.publish import ADAPTER_FILE, PASSPORT_FILE, Published, read_published
from core.training.store import Adapter
from core.workers.host import JobContext
from core.workspace.files import new_folder, read_json, write_json

OWN, README = "mlx", "README.md"


def export_adapter(context: JobContext) -> dict[str, Any]:
    """Handler of `export_adapter`: params {"adapter_id", "folder", "format"}; a new folder in it, never over another.

    Raises AppError `already_there`, `can_not_export`, and those of a damaged adapter or a base that is gone.
    """
    adapter, folder = adapter_of(context)
    layout: AdapterFormat = ADAPTER_FORMATS.get(str(context.params.get("format") or OWN))
    parent = Path(context.params["folder"])
    target = parent / folder_name(adapter.name, layout)
    if target.exists() or target.is_symlink():
        raise AppError(
            "already_there", f"There is a folder {target.name} in {parent} already.",
            hint="Choose another folder, or rename that one.", where=Where(file=str(target)),
        )  # fmt: skip
    context.progress(0, 1, "Copying" if layout.name == OWN else f"Writing it for {layout.title}")
    published = read_published(folder)
    config = read_json(base_of(context, adapter.base_model_id).path / "config.json") if layout.needs_base else {}
    exported = Exported(folder, adapter.name, config, adapter.base_name, published.sha256)
    with new_folder(target) as tmp:
        layout.write(exported, tmp, context.token)
        write_json(tmp / PASSPORT_FILE, _without_places(published.passport))
        (tmp / README).write_text(_readme(adapter, published, layout), encoding="utf-8")
    return {"path": str(target), "name": adapter.name}


def folder_name(name: str, layout: AdapterFormat) -> str:
    """What the folder is called: the adapter, and the layout where it is not this program's own."""
    short = re.sub(r"[^\w .-]+", "-", name).strip(" .-")[:100] or "adapter"
    return short if layout.name == OWN else f"{short} ({layout.name.upper()})"


def _without_places(passport: Mapping[str, Any]) -> dict[str, Any]:
    """Where things lie on this computer is nobody else's business."""
    out = dict(passport)
    out["base"] = {k: v for k, v in passport.get("base", {}).items() if k != "path"}
    out["dataset"] = {k: v for k, v in passport.get("dataset", {}).items() if k != "file_path"}
    if "imported" in passport:
        out["imported"] = {**passport["imported"], "from": Path(passport["imported"]["from"]).name}
    return out


def _readme(adapter: Adapter, published: Published, layout: AdapterFormat) -> str:
    base = published.passport.get("base", {})
    prompt = str(published.passport.get("system_prompt") or "")
    lines = [
        f"# {adapter.name}", "",
        f"A LoRA adapter for {layout.title}, for the base model {base.get('name', adapter.base_name)} "
        f"({base.get('architecture', 'unknown architecture')}), exported from Bright Run.", "",
        f"- SHA-256 of {ADAPTER_FILE} as it was trained: `{published.sha256}`",
        f"- Structure of its base: `{base.get('structure_fingerprint', '')}`",
        f"- Content of its base: `{base.get('content_fingerprint', '')}`",
        f"- {PASSPORT_FILE} says what it was made of and with which settings.", "", *layout.usage, "",
    ]  # fmt: skip
    return "\n".join([*lines, *_prompt(prompt)])


def _prompt(prompt: str) -> Sequence[str]:
    if not prompt:
        return ()
    return ("It was trained with this system prompt:", "", "\n".join(f"> {line}" for line in prompt.splitlines()), "")
