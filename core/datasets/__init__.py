"""Records (importers, candidates) are checked (messages), split and counted (build), kept as `data.jsonl` with a row
(ingest, store). They come from a training file (work) or from core.importing; core.training reads the result."""
