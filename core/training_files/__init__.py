"""Enriched conversations are gathered (aggregate) into one version of a training file (work, store), then exported.
core.enrichment writes what goes in; core.datasets builds from the JSONL."""
