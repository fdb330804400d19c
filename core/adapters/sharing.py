"""Worker handlers that make an adapter a model in Ollama, compare the two, and take it away again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.adapters import shares, siblings
from core.adapters.work import adapter_of
from core.errors import AppError
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Sampling
from core.inference.gguf.engine import MOST_CONTEXT, GgufEngine, config_of
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.seen import full_name
from core.inference.ollama.sharing import FUSED, LINKED, Shared, share, unshare
from core.inference.ollama.template import pieces_of
from core.models import store as models
from core.models.gguf_file import GgufFile, read_gguf
from core.models.rendering import load_tokenizer
from core.models.store import BaseModel
from core.training.exports import Exported
from core.training.exports.gguf_layout import write_gguf
from core.training.store import Adapter
from core.workers.host import JobContext

# Both are asked these, greedily; what Ollama adds by itself is switched off.
QUESTIONS = (
    "Who are you?", "What can you help me with?", "I am worried about money. What should I do first?",
    "Explain in one sentence what you do.", "Thank you. What comes next?",
)  # fmt: skip
ANSWER_TOKENS, STEPS = 24, 4
GREEDY = {"temperature": 0, "repeat_penalty": 1.0, "num_predict": ANSWER_TOKENS, "seed": 0}


def share_adapter(context: JobContext) -> dict[str, Any]:
    """Handler of `share_adapter`: params {"adapter_id", "base_id", "name", "address", "fused"}.

    Raises AppError `wrong_base`, `name_taken`, `can_not_share`, `share_differs`; nothing is left in Ollama then.
    """
    params = context.params
    name, address = str(params["name"]).strip(), str(params["address"])
    adapter, folder = adapter_of(context)
    base, ways = _decided(context, adapter, name)
    found = read_gguf(models.require_folder(base))
    context.progress(0, STEPS, "Exporting the adapter")
    path = context.run_dir / "adapter.gguf"
    write_gguf(Exported(folder, adapter.name, config_of(found), base.name, adapter.sha256), path)
    # Nobody meets it under its name before it was compared, and one that is shared already stays until then.
    trial = f"{name.partition(':')[0]}-{context.job_id[:8]}"
    wanted = _wanted(trial, adapter, base, found, path, _template(context, adapter, found))
    context.progress(1, STEPS, "Asking the adapter here")
    here = _answers(context, base.path, adapter, folder, wanted.system)
    with OllamaHost(address) as host:
        _sweep(host, name)
        way, _refused = share(
            host, wanted, ways, context.token, lambda _done, _total, said: context.progress(2, STEPS, said)
        )
        try:
            context.progress(3, STEPS, "Asking it in Ollama")
            options = {**GREEDY, "num_ctx": wanted.parameters["num_ctx"]}
            there = [host.answer(trial, [{"role": "user", "content": asked}], options) for asked in QUESTIONS]
            same = sum(a.strip() == b.strip() for a, b in zip(here, there, strict=True))
            if same < (1 if way == FUSED else len(QUESTIONS)):
                raise _differs(name, here, there)
            host.unload(trial)
            unshare(host, name)
            host.copy(trial, name)
        finally:
            unshare(host, trial)
    context.emit("share", row={
        "name": full_name(name), "artifact_id": adapter.id, "base_id": base.id, "address": address, "way": way,
        "adapter_sha256": adapter.sha256, "same": same, "asked": len(QUESTIONS),
    })  # fmt: skip
    return {"name": full_name(name), "way": way, "same": same, "asked": len(QUESTIONS), "modelfile": wanted.modelfile}


def _sweep(host: OllamaHost, name: str) -> None:
    """What a killed attempt left under its passing name."""
    left = re.compile(rf"{re.escape(name.partition(':')[0])}-[0-9a-f]{{8}}:latest")
    for one in host.models():
        if left.fullmatch(one.name):
            unshare(host, one.name)


def unshare_adapter(context: JobContext) -> dict[str, Any]:
    """Handler of `unshare_adapter`: params {"name", "address"}."""
    name = full_name(str(context.params["name"]).strip())
    context.progress(0, 1, f"Taking {name} out of Ollama")
    with OllamaHost(str(context.params["address"])) as host:
        unshare(host, name)
    context.emit("unshared", name=name)
    return {"name": name}


def _decided(context: JobContext, adapter: Adapter, name: str) -> tuple[BaseModel, list[str]]:
    """The base and the ways, once it is sure that it can begin."""
    params, address = context.params, str(context.params["address"])
    if not shares.NAME.fullmatch(name):
        raise AppError(
            "bad_name", f"Ollama takes no model of the name “{name}”.",
            hint="Use small letters, digits, dots and dashes, and begin with a letter or a digit.",
        )  # fmt: skip
    db = context.open_db()
    try:
        base = models.get(db, str(params["base_id"]))
        if why := siblings.why_not(db, adapter, base):
            raise AppError("wrong_base", why, hint="Choose a base in Ollama that is the same model.")
        ours = {one.name for one in shares.listing(db)}
        ways = [FUSED] if params.get("fused") else shares.ways_for(db, address, LINKED)
    finally:
        db.close()
    if not base.ollama:
        raise AppError(
            "wrong_base", f"The base {base.name} is not in Ollama, so nothing there can be linked to it.",
            hint="Use a model of Ollama's as a base first, on the Adapters page.",
        )  # fmt: skip
    with OllamaHost(address) as host:
        if full_name(name) not in ours and any(one.name == full_name(name) for one in host.models()):
            raise AppError(
                "name_taken", f"Ollama has a model {full_name(name)} that was not made here.",
                hint="Choose another name.",
            )  # fmt: skip
    return base, ways


def _template(context: JobContext, adapter: Adapter, found: GgufFile) -> str:
    """The base's chat template in Ollama's language; empty where it has no translation."""
    db = context.open_db()
    try:
        own = models.get(db, adapter.base_model_id)
    finally:
        db.close()
    tokenizer = load_tokenizer(models.require_folder(own))
    pieces = pieces_of(lambda talk, header: tokenizer.texts([(talk, header)], found.chat_template)[0])
    return pieces.go() if pieces is not None else ""


def _wanted(name: str, adapter: Adapter, base: BaseModel, found: GgufFile, path: Path, template: str) -> Shared:
    context = min(MOST_CONTEXT, base.context_length or MOST_CONTEXT)
    parameters: dict[str, Any] = {"num_ctx": context}
    end = found.metadata.get("tokenizer.ggml.eos_token_id")
    if isinstance(end, int) and 0 <= end < len(found.tokens):
        parameters["stop"] = [found.tokens[end]]
    system = str(adapter.passport.get("system_prompt") or "")
    return Shared(name, base.ollama, path, system, template, parameters)


def _answers(context: JobContext, base: Path, adapter: Adapter, folder: Path, system: str) -> list[str]:
    """What the adapter says here, in this process: its memory goes back with the end of this."""
    engine = GgufEngine(EngineOptions(max_resident=1))
    try:
        engine.load(base)
        ask = _asker(engine, AdapterRef(adapter.id, str(folder), adapter.name), system)
        out = []
        for question in QUESTIONS:
            context.token.raise_if_cancelled()
            out.append(ask(question))
        return out
    finally:
        engine.close()


def _asker(engine: GgufEngine, adapter: AdapterRef, system: str) -> Callable[[str], str]:
    head = [{"role": "system", "content": system}] if system else []

    def ask(question: str) -> str:
        request = GenerateRequest(
            [*head, {"role": "user", "content": question}], adapter, Sampling(max_tokens=ANSWER_TOKENS)
        )
        return "".join(piece.text for piece in engine.generate(request))

    return ask


def _differs(name: str, here: Sequence[str], there: Sequence[str]) -> AppError:
    number = next(n for n, (a, b) in enumerate(zip(here, there, strict=True)) if a.strip() != b.strip())
    return AppError(
        "share_differs", f"{name} does not answer in Ollama as the adapter does here, so it was taken out again.",
        hint="Share it as one file instead. The details have the first question that was answered otherwise.",
        detail=f"{QUESTIONS[number]}\nhere: {here[number][:400]}\nOllama: {there[number][:400]}",
    )  # fmt: skip
