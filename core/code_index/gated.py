"""Embedding models as a worker holds them: each once, loaded when first needed, and only if there is memory for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from core.cancel import CancelToken
from core.code_index.active import folder_name
from core.code_index.embedders import EmbedderChoice, available, choose
from core.errors import AppError

if TYPE_CHECKING:
    import numpy as np

Ask = Callable[[int], bool]
Hold = Callable[[int], None]
TRY_AGAIN_S = 20.0


class GatedEmbedder:
    """An `Embedder` that asks for memory before it loads. `ask(bytes)` may wait; `hold(bytes)` is told what is held."""

    def __init__(self, choice: EmbedderChoice, ask: Ask, hold: Hold) -> None:
        self._inner = choice.open()
        self._ask, self._hold = ask, hold
        self._guard = threading.Lock()
        self.loaded = False
        # Seconds that it spent on texts: not on waiting for memory, nor on being loaded.
        self.embed_s = 0.0
        self._coming: threading.Thread | None = None
        self.trouble: AppError | None = None
        self._not_before = 0.0
        self.key, self.name, self.slug = choice.key, choice.name, self._inner.slug
        self.dimension, self.max_tokens = self._inner.dimension, self._inner.max_tokens
        self.soft_limit, self.bytes_needed = self._inner.soft_limit, self._inner.bytes_needed

    def load(self) -> None:
        """Bring it into memory. Raises AppError `no_memory_for_embedder`, `embedder_failed` or `damaged_weights`."""
        with self._guard:
            if self.loaded:
                return
            if not self._ask(self.bytes_needed):
                raise AppError(
                    "no_memory_for_embedder",
                    f"There is no room in memory for the embedding model {self.name} now "
                    f"(about {self.bytes_needed / 1e9:.1f} GB).",
                    hint="Search by words and names works meanwhile.",
                )
            self._inner.load()
            self.loaded, self.trouble, self._not_before = True, None, 0.0
            self._hold(self.bytes_needed)

    def load_soon(self, loaded: Callable[[], None]) -> None:
        """Load it beside what is going on, then `loaded()`; what went wrong is `trouble`, and tried again later."""
        if self.loaded or time.monotonic() < self._not_before or (self._coming and self._coming.is_alive()):
            return

        def work() -> None:
            try:
                self.load()
            except AppError as error:
                self.trouble, self._not_before = error, time.monotonic() + TRY_AGAIN_S
            else:
                loaded()

        self._coming = threading.Thread(target=work, name="load-embedder", daemon=True)
        self._coming.start()

    def relieve(self) -> None:
        """Give its memory back until it is needed again."""
        with self._guard:
            self._inner.close()
            self.loaded = False
            self._hold(0)

    def embed(self, texts: Sequence[str], token: CancelToken | None = None) -> np.ndarray:
        """As `Embedder.embed`."""
        self.load()
        began = time.monotonic()
        made = self._inner.embed(texts, token)
        self.embed_s += time.monotonic() - began
        return made

    def embed_query(self, text: str) -> np.ndarray:
        """As `Embedder.embed_query`."""
        self.load()
        return self._inner.embed_query(text)


class Models:
    """The models of a worker, by what names their vectors."""

    def __init__(self, ask: Ask, hold: Hold) -> None:
        self._ask, self._tell_held = ask, hold
        self._models: dict[str, GatedEmbedder] = {}
        # Searching and keeping up to date ask on threads of their own.
        self._guard = threading.Lock()

    def wanted(self, setting: str) -> GatedEmbedder | None:
        """The model of a setting, None for words alone. Raises AppError `embedder_missing`, ..."""
        choice = choose(setting)
        return None if choice is None else self._of(choice)

    def of_index(self, slug: str, setting: str) -> GatedEmbedder | None:
        """The model that an index was made with, None where it is not here any more."""
        for choice in self._candidates(setting):
            if folder_name(choice.slug) == slug:
                return self._of(choice)
        return None

    @staticmethod
    def _candidates(setting: str) -> list[EmbedderChoice]:
        try:
            first = choose(setting)
        except AppError:
            # Not here any more: an index that another one made is still searched with that.
            return available()
        # None is the wish for words alone.
        return [first, *available()] if first is not None else []

    def _of(self, choice: EmbedderChoice) -> GatedEmbedder:
        with self._guard:
            if choice.slug not in self._models:
                self._models[choice.slug] = GatedEmbedder(choice, self._ask, self._hold)
            return self._models[choice.slug]

    def _hold(self, _bytes: int) -> None:
        """What is told is what all of them hold together."""
        self._tell_held(sum(model.bytes_needed for model in list(self._models.values()) if model.loaded))

    def relieve(self) -> None:
        """Give the memory of all of them back."""
        for model in list(self._models.values()):
            if model.loaded:
                model.relieve()
