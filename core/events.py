"""What kind of data a write changed; screens refresh from it."""

from __future__ import annotations

from enum import Flag, auto


class Changed(Flag):
    """Returned by every write; `Changed.NOTHING` is falsy."""

    NOTHING = 0
    SETTINGS = auto()
    SCAFFOLDING = auto()
    CONVERSATIONS = auto()
    TRAINING_FILES = auto()
    DATASETS = auto()
    MODELS = auto()
    JOBS = auto()
    METRICS = auto()
    ADAPTERS = auto()
    CHATS = auto()
    GENERATION = auto()
    PROJECTS = auto()

    @classmethod
    def everything(cls) -> Changed:
        """All kinds: after opening a workspace."""
        out = cls.NOTHING
        for member in cls:
            out |= member
        return out
