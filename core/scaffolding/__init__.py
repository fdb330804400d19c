"""Personas, arcs, topics, templates (store), copied (editing), as files (exchange) and as text (render); profile.
The library comes from the workspace's vertical, a folder of data (verticals, seeding); entries are found by key."""
