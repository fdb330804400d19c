"""Texts to vectors, on this machine: a sentence-transformers model out of a local folder.

Nothing is ever downloaded and no code of a model is run (`embedder_folder`). Half precision where it is safe and
quicker: float16 on Apple's GPU, bfloat16 on CPUs that multiply it (measured: the top ten agree to 99.2 %).
"""

from __future__ import annotations

import os
import platform
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from core.cancel import CancelToken
from core.code_index.embedder_folder import ModelFolder, loadable
from core.code_index.records import digest
from core.errors import AppError, Where

if TYPE_CHECKING:
    import numpy as np

THREADS_VARIABLE = "BRIGHTRUN_EMBED_THREADS"
# torch, transformers, sentence-transformers and what they hold on to while they work, measured.
LIBRARY_BYTES = 1_100_000_000
CPU_BATCH, GPU_BATCH = 16, 16
SHORT_SOFT_LIMIT, SOFT_LIMIT = 800, 1600
# A model that reads no more than this many tokens gets the shorter chunks.
_SHORT_TOKENS = 512
# Before the capital that begins a word: format|Relative|Time, HTTP|Server.
_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Embedder(Protocol):
    """What makes vectors for an index. `slug` changes with whatever changes them; `soft_limit` is for chunking."""

    slug: str
    name: str
    dimension: int
    max_tokens: int
    soft_limit: int
    bytes_needed: int

    def embed(self, texts: Sequence[str], token: CancelToken | None = None) -> np.ndarray:
        """float32 (n, dimension), each row of length 1. Raises AppError, or Cancelled between batches."""
        ...

    def embed_query(self, text: str) -> np.ndarray:
        """float32 (dimension,) of length 1, with the prefix the model wants for queries."""
        ...


def device_of(available: Callable[[], bool] | None = None) -> str:
    """ "mps" on Apple silicon, else "cpu"; `available` asks torch, for it may have been built without."""
    if platform.system() != "Darwin" or platform.machine() != "arm64":
        return "cpu"
    return "mps" if available is None or available() else "cpu"


def precision_of(device: str, model_type: str, flags: Callable[[], str] | None = None) -> str:
    """The name of torch's dtype to compute in. Qwen-like models overflow float16."""
    if device == "mps":
        return "bfloat16" if model_type.startswith("qwen") else "float16"
    words = (flags or _cpu_flags)().split()
    return "bfloat16" if "amx_bf16" in words or "avx512_bf16" in words else "float32"


def _cpu_flags() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as handle:
            return next((line for line in handle if line.startswith("flags")), "")
    except OSError:
        return ""


def bytes_needed(folder: ModelFolder, device: str = "") -> int:
    """Bytes of memory that loading and using it takes: libraries, weights in their precision, one batch at work."""
    device = device or device_of()
    width = 4 if precision_of(device, folder.model_type) == "float32" else 2
    inner = int(folder.config.get("intermediate_size") or 4 * folder.dimension)
    batch = GPU_BATCH if device == "mps" else CPU_BATCH
    working = batch * folder.max_tokens * (8 * folder.dimension + 3 * inner) * width
    return LIBRARY_BYTES + folder.parameters * width + working


def threads_wanted() -> int:
    """Threads for torch: as the environment says, else one less than there are cores; 0 leaves torch's own."""
    said = os.environ.get(THREADS_VARIABLE, "")
    if said.isdigit() and int(said):
        return int(said)
    if os.environ.get("OMP_NUM_THREADS"):
        return 0
    return max(1, (psutil.cpu_count(logical=False) or 2) - 1)


class SentenceEmbedder:
    """An `Embedder` over sentence-transformers. Light until the first text: `load()` says earlier whether it can."""

    def __init__(self, folder: ModelFolder, name: str, device: str = "") -> None:
        self.folder = folder
        self.name = name
        self.dimension = folder.dimension
        self.max_tokens = folder.max_tokens
        self.soft_limit = SHORT_SOFT_LIMIT if folder.max_tokens <= _SHORT_TOKENS else SOFT_LIMIT
        self.bytes_needed = bytes_needed(folder, device)
        self.slug = slug_of(folder, name)
        self.precision = ""
        self._device = device
        self._model: Any = None
        self._lock = threading.Lock()

    def load(self) -> None:
        """Bring the model into memory. Raises AppError `embedder_failed` or `damaged_weights`."""
        self._ready()

    def _ready(self) -> Any:
        with self._lock:
            if self._model is None:
                self._model = self._loaded()
            return self._model

    def close(self) -> None:
        """Let go of the model; it loads again when it is needed. An `embed` under way keeps it to its end."""
        with self._lock:
            self._model = None

    def embed(self, texts: Sequence[str], token: CancelToken | None = None) -> np.ndarray:
        """As `Embedder.embed`; batches are of texts of like length, the longest first."""
        import numpy as np

        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return out
        # Once: closed meanwhile it would come back behind the back of who counts the memory.
        model = self._ready()
        order = sorted(range(len(texts)), key=lambda n: -len(texts[n]))
        size = GPU_BATCH if self._device == "mps" else CPU_BATCH
        for start in range(0, len(order), size):
            if token is not None:
                token.raise_if_cancelled()
            batch = order[start : start + size]
            out[batch] = self._vectors(model, [self.folder.document_prefix + texts[n] for n in batch])
        return out

    def embed_query(self, text: str) -> np.ndarray:
        """As `Embedder.embed_query`."""
        vector: np.ndarray = self._vectors(self._ready(), [self.folder.query_prefix + text])[0]
        return vector

    def _vectors(self, model: Any, texts: list[str]) -> np.ndarray:
        import numpy as np

        try:
            # The tokenizer goes over the whole text before it cuts it off; a character is at least part of a token.
            most = 16 * self.max_tokens
            given = [self._given(text)[:most] for text in texts]
            raw = model.encode(given, batch_size=len(given), show_progress_bar=False, convert_to_numpy=True)
        except (RuntimeError, ValueError, TypeError, MemoryError) as exc:
            raise self._failed(f"{type(exc).__name__}: {exc}") from exc
        vectors = np.asarray(raw, dtype=np.float32)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        if vectors.shape != (len(texts), self.dimension) or not np.isfinite(length).all() or not (length > 0).all():
            raise AppError(
                "embedder_failed",
                f"The embedding model {self.name} gave numbers that are none (in {self.precision}).",
                hint="Choose another embedding model; search by words works meanwhile.",
                detail=f"shape {vectors.shape}, of {len(texts)} texts",
            )
        normed: np.ndarray = vectors / length
        return normed

    def _given(self, text: str) -> str:
        return _BETWEEN_WORDS.sub(" ", text) if self.folder.splits_words else text

    def _loaded(self) -> Any:
        # Set before the libraries are imported: they read them once.
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        import torch

        device = self._device or device_of(torch.backends.mps.is_available)
        self._device, self.precision = device, precision_of(device, self.folder.model_type)
        if threads := threads_wanted():
            torch.set_num_threads(threads)
        try:
            return _build(self.folder, device, getattr(torch, self.precision))
        except (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ImportError) as exc:
            raise self._failed(f"{type(exc).__name__}: {exc}") from exc

    def _failed(self, detail: str) -> AppError:
        return AppError(
            "embedder_failed",
            f"The embedding model {self.name} could not be used ({detail[:200]}).",
            hint="Choose another embedding model, or copy its folder again; search by words works meanwhile.",
            detail=detail,
            where=Where(file=str(self.folder.root)),
        )


def slug_of(folder: ModelFolder, name: str) -> str:
    """Names the vectors: what changes them changes it. Fit for a file's name."""
    plain = "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")[:40]
    rest = digest(folder.revision, folder.query_prefix, folder.document_prefix, folder.pooling, str(folder.max_tokens))
    return f"{plain}-{folder.dimension}-{rest[:12]}"


def _build(folder: ModelFolder, device: str, dtype: Any) -> Any:
    """The model on its device, ready to `encode`."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()

    class Checked(Transformer):  # type: ignore[misc]
        """Refuses weights with gaps, which transformers would fill with random numbers."""

        def _load_model(self, path: str, task: str, config: Any, *rest: Any, **options: Any) -> Any:
            model, said = AutoModel.from_pretrained(path, config=config, output_loading_info=True, **options)
            gaps = sorted(name for name in said["missing_keys"] if "pooler" not in name)
            if gaps or said.get("mismatched_keys"):
                raise _gaps(folder, gaps or [str(said["mismatched_keys"])])
            return model

    only_here = {"local_files_only": True, "trust_remote_code": False}
    with loadable(folder) as view:
        transformer = Checked(
            str(view), max_seq_length=folder.max_tokens, do_lower_case=folder.lower_case,
            model_kwargs={**only_here, "dtype": dtype, "use_safetensors": True}, config_kwargs=dict(only_here),
            processor_kwargs=dict(only_here),
        )  # fmt: skip
        model = SentenceTransformer(modules=[transformer, Pooling(folder.dimension, folder.pooling)], device=device)
    return model.eval()


def _gaps(folder: ModelFolder, names: list[str]) -> AppError:
    return AppError(
        "damaged_weights",
        f"The weights in {folder.root.name} do not fit its config.json: {len(names)} are missing, {names[0]} first.",
        hint="Copy or download the model again, or choose another one; search by words works meanwhile.",
        detail=", ".join(names[:20]),
        where=Where(file=str(folder.root)),
    )
