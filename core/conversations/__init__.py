"""Raw records become conversations (importers, parse, ingest) with a row each (store) and two files, raw and parsed.
core.importing hands the records in; core.enrichment reads the parsed files."""
