"""What is asked of a hub: names of repositories, and which of their files a base model needs. Nothing is sent here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlparse

from core.errors import AppError

DEFAULT_ENDPOINT = "https://huggingface.co"
_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPO = re.compile(rf"{_PART}/{_PART}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
WEIGHTS = re.compile(r"model[^/\\]*\.safetensors")
# What mlx-lm and transformers read of a base; never code, never pickles.
_NEEDED = frozenset(
    (
        "config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer.model",
        "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
        "merges.txt", "chat_template.jinja", "chat_template.json", "hf_quant_config.json",
    )
)  # fmt: skip
# So large a file beside the weights is not what its name says.
MOST_SMALL_BYTES = 200_000_000


@dataclass(frozen=True)
class RepoName:
    """owner/name, and a branch, tag or commit; empty for the usual one."""

    repo: str
    revision: str = ""

    @property
    def name(self) -> str:
        """Without the owner."""
        return self.repo.partition("/")[2]


def parse_name(text: str) -> RepoName:
    """ "owner/name", "owner/name@revision", or the address of its page. Raises AppError `not_a_repository`."""
    plain, revision = text.strip(), ""
    if "://" in plain or plain.partition("/")[0].lower() in _HOSTS:
        address = urlparse(plain if "://" in plain else f"https://{plain}")
        parts = [unquote(part) for part in address.path.split("/") if part]
        if address.hostname not in _HOSTS or len(parts) < 2:
            raise _not_a_repository(plain)
        plain = "/".join(parts[:2])
        if len(parts) > 3 and parts[2] in ("tree", "blob", "resolve", "commit"):
            revision = parts[3] if parts[2] in ("blob", "resolve") else "/".join(parts[3:])
    elif "@" in plain:
        plain, _, revision = plain.partition("@")
    if not _REPO.fullmatch(plain) or "--" in plain or ".." in plain or (revision and not is_revision(revision)):
        raise _not_a_repository(text.strip())
    return RepoName(plain, revision)


def is_revision(text: str) -> bool:
    """Whether it can be the name of a branch, a tag or a commit."""
    return bool(_REVISION.fullmatch(text)) and ".." not in text


def _not_a_repository(text: str) -> AppError:
    return AppError(
        "not_a_repository",
        f"“{text[:200]}” is not the name of a model.",
        hint="Enter it as owner/name, for example mlx-community/Qwen2.5-1.5B-Instruct-4bit, or paste the address of "
        "its page on Hugging Face.",
    )


@dataclass(frozen=True)
class HubFile:
    """One file of a repository; `sha256` of what is stored as a large file, else `git` (SHA-1 of git's blob)."""

    name: str
    size: int
    sha256: str = ""
    git: str = ""

    def digest(self) -> Any:
        """A fresh hash object to feed with the bytes of the file."""
        if self.sha256:
            return hashlib.sha256()
        made = hashlib.sha1(usedforsecurity=False)
        made.update(b"blob %d\0" % self.size)
        return made

    @property
    def wanted(self) -> str:
        """The hex digest that `digest()` must end with."""
        return self.sha256 or self.git

    @property
    def is_weights(self) -> bool:
        """Whether mlx-lm would load it as weights."""
        return bool(WEIGHTS.fullmatch(self.name))


def needed(siblings: Iterable[Mapping[str, Any]], repo: str) -> list[HubFile]:
    """The files a base model needs out of a listing, weights last. Raises AppError `not_a_model` or `no_hashes`."""
    found, others = [], []
    for entry in siblings:
        name = str(entry.get("rfilename") or "")
        if name not in _NEEDED and not WEIGHTS.fullmatch(name):
            others.append(name)
            continue
        file = _file(entry, name, repo)
        if not file.is_weights and file.size > MOST_SMALL_BYTES:
            raise _no_model(repo, f"its {name} is larger than such a file can be")
        found.append(file)
    if not any(file.name == "config.json" for file in found):
        raise _no_model(repo, "there is no config.json in it")
    if not any(file.is_weights for file in found):
        raise _no_model(repo, _why_no_weights(others))
    return sorted(found, key=lambda file: (file.is_weights, file.name))


def _file(entry: Mapping[str, Any], name: str, repo: str) -> HubFile:
    large = entry.get("lfs")
    facts: Mapping[str, Any] = large if isinstance(large, dict) else {}
    sha256, git = str(facts.get("sha256") or facts.get("oid") or ""), str(entry.get("blobId") or "")
    size = facts.get("size", entry.get("size"))
    known = re.fullmatch(r"[0-9a-f]{64}", sha256) if facts else re.fullmatch(r"[0-9a-f]{40}", git)
    if not known or isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise AppError(
            "no_hashes",
            f"The hub tells no size and hash of {name} in {repo}, so it could not be checked.",
            hint="Download it by other means, and add the folder.",
        )
    return HubFile(name, size, sha256, "" if sha256 else git)


def _why_no_weights(others: Iterable[str]) -> str:
    names = list(others)
    for ending, words in (
        (".gguf", "GGUF files"), (".bin", "pickled weights, which could run code and are never loaded"),
        (".safetensors", "weights in folders or under other names"),
    ):  # fmt: skip
        if any(name.endswith(ending) for name in names):
            return f"it has no model*.safetensors, only {words}"
    return "there is no model*.safetensors in it"


def _no_model(repo: str, why: str) -> AppError:
    return AppError(
        "not_a_model",
        f"{repo} can't be used as a base model: {why}.",
        hint="Look for a conversion in MLX or Hugging Face format (config.json, tokenizer, model.safetensors); the "
        "organisation mlx-community has many.",
    )
