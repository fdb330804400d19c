"""Stage 5: check against the v4 JSON Schema and write enriched.json with its sources, each atomically."""

from __future__ import annotations

from core.enrichment import provenance, schema
from core.enrichment.stage import INFO, WARNING, StageContext, State
from core.workspace.files import atomic_write, dump_json


class VerifyAndStore:
    """Writes only what the schema accepts."""

    name = "store"
    version = "1"
    title = "Verify and store"

    def run(self, context: StageContext, state: State) -> State:
        """Write both files and name the enriched one in the columns. Raises AppError `not_v4`."""
        document = dict(state.document)
        for index, pair in enumerate(document.get("training_pairs", [])):
            context.token.raise_if_cancelled()
            schema.check_pair("individual", pair, f"training_pairs[{index}]")
        schema.check_frame("individual", document)
        silent = provenance.unsourced(document, state.sources)
        if silent:
            context.find(
                WARNING, silent[0], f"{len(silent)} fields have no stated source, {silent[0]} first.",
                "A custom stage set them; it must say where they come from.",
            )  # fmt: skip
        content = dump_json(document)
        folder = context.workspace.conversations / context.conversation_id
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / provenance.SOURCES, provenance.pack(content, state.sources, state.quality))
        atomic_write(folder / provenance.ENRICHED, content)
        pairs = len(document["training_pairs"])
        context.find(INFO, "document", f"Valid against the v4 schema: {pairs} {'pair' if pairs == 1 else 'pairs'}.")
        path = context.workspace.relative(folder / provenance.ENRICHED)
        return state.with_(columns={**state.columns, "enriched_file_path": path})


STAGE = VerifyAndStore()
