"""Personas, emotional arcs, topics and prompt templates (store), and templates filled in (render).
The library is seeded from resources; enrichment looks its entries up by key."""
