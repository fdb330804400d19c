"""Every place of the product that can be widened, one line an entry.

A new stage, format, importer, engine or job kind is one new module and one line here (pages: `ui/registry.py`).
"""

from __future__ import annotations

from typing import Any

from core.registry import ALL, Registry

STAGES: Registry[Any] = Registry(
    "enrichment_stage",
    {
        "fetch": "core.enrichment.fetch:STAGE",
        "validate": "core.enrichment.validate:STAGE",
        "enrich": "core.enrichment.enrich:STAGE",
        "normalize": "core.enrichment.normalize:STAGE",
        "store": "core.enrichment.store_stage:STAGE",
    },
)

EXPORT_FORMATS: Registry[Any] = Registry(
    "export_format",
    {
        "v4_json": "core.training_files.exports.v4_json:FORMAT",
        "v4_jsonl": "core.training_files.exports.v4_jsonl:FORMAT",
    },
)

ADAPTER_FORMATS: Registry[Any] = Registry(
    "adapter_format",
    {
        "mlx": "core.training.exports.mlx_layout:FORMAT",
        "peft": "core.training.exports.peft_layout:FORMAT",
        "gguf": "core.training.exports.gguf_layout:FORMAT",
    },
)

IMPORTERS: Registry[Any] = Registry(
    "importer",
    {
        "raw_conversation": "core.conversations.importers.raw_conversation:IMPORTER",
        "v4": "core.datasets.importers.v4:IMPORTER",
        "chat_messages": "core.datasets.importers.chat_messages:IMPORTER",
        "prompt_completion": "core.datasets.importers.prompt_completion:IMPORTER",
    },
)

ENGINES: Registry[Any] = Registry(
    "engine",
    {
        "mlx": "core.inference.mlx.engine:MlxEngine",
        "gguf": "core.inference.gguf.engine:GgufEngine",
        "ollama": "core.inference.ollama.engine:OllamaEngine",
    },
)

PROVIDERS: Registry[Any] = Registry(
    "provider",
    {
        "claude": "core.generation.claude:CLAUDE",
        "claude_batch": "core.generation.claude_batch:CLAUDE_BATCH",
        "local": "core.generation.local:LOCAL_MODEL",
    },
)

CODE_LANGUAGES: Registry[Any] = Registry(
    "code_language",
    {
        "python": "core.code_index.languages.python:LANGUAGE",
        "javascript": "core.code_index.languages.javascript:LANGUAGE",
        "typescript": "core.code_index.languages.typescript:LANGUAGE",
        "tsx": "core.code_index.languages.tsx:LANGUAGE",
        "java": "core.code_index.languages.java:LANGUAGE",
        "go": "core.code_index.languages.go:LANGUAGE",
        "rust": "core.code_index.languages.rust:LANGUAGE",
    },
)

RUN_OWNERS: Registry[Any] = Registry("run_owner", {"project": "core.projects.adapters:run_completed"})

JOB_KINDS: Registry[Any] = Registry(
    "job_kind",
    {
        "import": "core.importing.jobs:IMPORT",
        "check_conversations": "core.conversations.jobs:CHECK",
        "export_conversations": "core.conversations.jobs:EXPORT",
        "enrich": "core.enrichment.jobs:ENRICH",
        "build_training_file": "core.training_files.jobs:BUILD",
        "build_dataset": "core.datasets.jobs:BUILD",
        "training": "core.training.jobs:TRAINING",
        "add_base_model": "core.models.jobs:ADD_BASE",
        "look_up_base": "core.models.jobs:LOOK_UP",
        "download_base": "core.models.jobs:DOWNLOAD",
        "quantise_base": "core.models.jobs:QUANTISE",
        "build_practice_model": "core.models.jobs:BUILD_PRACTICE",
        "import_adapter": "core.adapters.jobs:IMPORT",
        "check_adapter": "core.adapters.jobs:CHECK",
        "export_adapter": "core.adapters.jobs:EXPORT",
        "compare_bases": "core.adapters.jobs:COMPARE",
        "measure_parity": "core.adapters.jobs:PARITY",
        "share_adapter": "core.adapters.jobs:SHARE",
        "preview_share": "core.adapters.jobs:PREVIEW_SHARE",
        "unshare_adapter": "core.adapters.jobs:UNSHARE",
        "pull_ollama": "core.inference.ollama.jobs:PULL",
        "practice_to_ollama": "core.inference.ollama.jobs:PRACTICE",
        "take_ollama": "core.inference.ollama.jobs:TAKE",
        "generate": "core.generation.jobs:GENERATE",
        "generate_local": "core.generation.jobs:GENERATE_LOCAL",
        "rewrite": "core.generation.jobs:REWRITE",
        "ask_claude": "core.generation.account:ASK_CLAUDE",
        "index_project": "core.projects.jobs:INDEX",
        "look_at_examples": "core.projects.examples.jobs:LOOK",
        "project_examples": "core.projects.examples.jobs:EXAMPLES",
    },
)


def snapshot() -> dict[str, dict[str, str]]:
    """Every registry as plain text: name -> key -> dotted path."""
    return {name: registry.paths() for name, registry in ALL.items()}


def restore(data: dict[str, dict[str, str]]) -> None:
    """Take over a snapshot, order included; registries this program does not have are ignored."""
    for name, entries in data.items():
        if name in ALL:
            ALL[name].replace(entries)
