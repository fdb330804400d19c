"""Publish an adapter in mlx-lm's layout with its passport, by one folder rename."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.training.lora import NUM_LAYERS
from core.workspace.files import new_folder, read_json, sha256_file, write_json

ADAPTER_FILE, CONFIG_FILE, PASSPORT_FILE = "adapters.safetensors", "adapter_config.json", "passport.json"


@dataclass(frozen=True)
class Published:
    """What is in an adapter's folder."""

    artifact_id: str
    folder: Path
    sha256: str
    size_bytes: int
    passport: Mapping[str, Any]


def artifact_id_of(job_id: str) -> str:
    """The adapter's id follows from its run, so that publishing again after a kill is the same act."""
    return str(uuid.uuid5(uuid.UUID(job_id), "adapter"))


def publish(
    adapters: Path,
    job_id: str,
    checkpoint_adapter: Path,
    lora_parameters: Mapping[str, Any],
    passport: Mapping[str, Any],
) -> Published:
    """Copy the checkpoint's tensors into a new adapter folder. Raises AppError `adapter_not_finite`."""
    artifact_id = artifact_id_of(job_id)
    final = adapters / artifact_id
    if final.exists():
        return read_published(final)
    _refuse_non_finite(checkpoint_adapter)
    adapters.mkdir(parents=True, exist_ok=True)
    with new_folder(final) as tmp:
        shutil.copyfile(checkpoint_adapter, tmp / ADAPTER_FILE)
        write_json(
            tmp / CONFIG_FILE,
            {
                "fine_tune_type": "lora", "num_layers": NUM_LAYERS, "lora_parameters": dict(lora_parameters),
                "base_fingerprint": passport["base"]["structure_fingerprint"],
                "base_content_fingerprint": passport["base"]["content_fingerprint"],
            },
        )  # fmt: skip
        write_json(tmp / PASSPORT_FILE, {**passport, "adapter_sha256": sha256_file(tmp / ADAPTER_FILE)})
    return read_published(final)


def read_published(folder: Path) -> Published:
    """Read an adapter folder back, checking the tensors against the passport's hash."""
    passport = read_json(folder / PASSPORT_FILE)
    digest = sha256_file(folder / ADAPTER_FILE)
    if not isinstance(passport, dict) or digest != passport.get("adapter_sha256"):
        raise AppError(
            "damaged_adapter", f"The adapter in {folder.name} does not match its passport.", hint="Train it again."
        )
    size = sum(p.stat().st_size for p in folder.iterdir())
    return Published(folder.name, folder, digest, size, passport)


def _refuse_non_finite(path: Path) -> None:
    import mlx.core as mx

    tensors: dict[str, Any] = mx.load(str(path))  # type: ignore[assignment]
    bad = [name for name, value in tensors.items() if not mx.all(mx.isfinite(value)).item()]
    if bad:
        raise AppError(
            "adapter_not_finite",
            f"The trained adapter contains values that are not numbers ({bad[0]}).",
            hint="Lower the learning rate and train again.",
        )
