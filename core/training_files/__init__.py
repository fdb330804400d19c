"""Training files: many enriched conversations in one v4 JSON and JSONL, versioned."""
