"""Personas, arcs, topics, templates (store), copied (editing), as files (exchange) and as text (render); profile.
The library is seeded from resources; enrichment looks its entries up by key."""
