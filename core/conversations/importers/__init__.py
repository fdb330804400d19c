"""Importers whose files become conversations. A new one is one module here and one line in core/registries.py."""
