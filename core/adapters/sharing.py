"""Worker handlers that make an adapter a model in Ollama, compare the two, and take it away again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core import jobs
from core.adapters import shares, siblings
from core.adapters.shares import Share
from core.adapters.work import adapter_of, refuse_changed
from core.db import Database
from core.errors import AppError
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Sampling
from core.inference.gguf.engine import MOST_CONTEXT, GgufEngine, config_of
from core.inference.ollama.address import address_of, same_server
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.registry import OWNER
from core.inference.ollama.seen import FUSED, full_name
from core.inference.ollama.sharing import LINKED, Shared, share, take_name, unshare
from core.inference.ollama.template import pieces_of
from core.models import store as models
from core.models.gguf_file import GgufFile, read_gguf
from core.models.rendering import load_tokenizer
from core.models.store import BaseModel
from core.training.exports import Exported
from core.training.exports.kept import gguf_of
from core.training.store import Adapter
from core.workers.host import JobContext
from core.workspace.files import TMP_PREFIX

# Both are asked these, greedily; what Ollama adds by itself is switched off.
QUESTIONS = (
    "Who are you?", "What can you help me with?", "I am worried about money. What should I do first?",
    "Explain in one sentence what you do.", "Thank you. What comes next?",
)  # fmt: skip
ANSWER_TOKENS, STEPS = 24, 4
ADAPTER_FILE = "adapter.gguf"
# What it is called until it was compared; the job's id makes it nobody's but ours, and is not known to others.
TRIAL = "bright-run-trial-"
_LEFT = re.compile(rf"(?:127\.0\.0\.1:\d+/{OWNER}/)?{TRIAL}(?P<job>[0-9a-f-]{{36}}):latest")
GREEDY = {"temperature": 0, "repeat_penalty": 1.0, "num_predict": ANSWER_TOKENS, "seed": 0}


def share_adapter(context: JobContext) -> dict[str, Any]:
    """Handler of `share_adapter`: params {"adapter_id", "base_id", "name", "address", "fused"}.

    Raises AppError `wrong_base`, `name_taken`, `damaged_adapter`, `can_not_share`, `share_differs`; nothing is left in
    Ollama then.
    """
    params = context.params
    name, address = str(params["name"]).strip(), str(params["address"])
    adapter, folder = adapter_of(context)
    refuse_changed(adapter, folder)
    base, ways = _decided(context, adapter, name)
    found = read_gguf(models.require_folder(base))
    context.progress(0, STEPS, "Exporting the adapter")
    # What a kill leaves of it is swept at the next start.
    files = context.run_dir / f"{TMP_PREFIX}share"
    files.mkdir(exist_ok=True)
    path = files / ADAPTER_FILE
    gguf_of(Exported(folder, adapter.name, config_of(found), base.name), path)
    # Nobody meets it under its name before it was compared, and one that is shared already stays until then.
    trial = f"{TRIAL}{context.job_id}"
    wanted = _wanted(trial, adapter, base, found, path, _template(context, adapter, found))
    try:
        context.progress(1, STEPS, "Asking the adapter here")
        here = _answers(context, base.path, adapter, folder, wanted.system)
        with OllamaHost(address) as host:
            _sweep(context, host)
            try:
                way, same = _compared(context, host, wanted, ways, here, name)
                # A name that was free when it began may be somebody's by now.
                there, moved = _refuse_taken(context, host, name, adapter)
                digest = next(one.digest for one in host.models() if one.name == full_name(trial))
                row = {
                    "name": full_name(name), "artifact_id": adapter.id, "base_id": base.id, "address": address,
                    "way": way, "digest": f"{digest} {there}".strip(), "adapter_sha256": adapter.sha256,
                    "same": same, "asked": len(QUESTIONS),
                }  # fmt: skip
                # Before it gets the name, beside what has it until then: whenever this ends, both are known as ours.
                context.emit("share", row=row, moved=moved)
                take_name(host, trial, name, base.ollama)
                context.emit("share", row={**row, "digest": digest})
            finally:
                unshare(host, trial)
    finally:
        shutil.rmtree(files, ignore_errors=True)
    return {"name": row["name"], "way": way, "same": same, "asked": row["asked"], "modelfile": wanted.modelfile(way)}


def preview_share(context: JobContext) -> dict[str, Any]:
    """Handler of `preview_share`: params as for `share_adapter`; result {"modelfile"}, and Ollama is asked nothing."""
    params = context.params
    adapter, _folder = adapter_of(context)
    db = context.open_db()
    try:
        base = models.get(db, str(params["base_id"]))
    finally:
        db.close()
    found = read_gguf(models.require_folder(base))
    wanted = _wanted("", adapter, base, found, Path(ADAPTER_FILE), _template(context, adapter, found))
    return {"modelfile": wanted.modelfile(FUSED if params.get("fused") else LINKED[0])}


def _compared(
    context: JobContext, host: OllamaHost, wanted: Shared, ways: Sequence[str], here: Sequence[str], name: str
) -> tuple[str, int]:
    """Make it under its passing name and compare; returns the way and how many answers are equal."""
    way = share(host, wanted, ways, context.token, lambda said: context.progress(2, STEPS, said))
    context.progress(3, STEPS, "Asking it in Ollama")
    options = {**GREEDY, "num_ctx": wanted.parameters["num_ctx"]}
    there = [host.answer(wanted.name, [{"role": "user", "content": asked}], options) for asked in QUESTIONS]
    same = sum(a.strip() == b.strip() for a, b in zip(here, there, strict=True))
    if same < (1 if way == FUSED else len(QUESTIONS)):
        raise _differs(name, here, there)
    host.unload(wanted.name)
    return way, same


def _refuse_taken(context: JobContext, host: OllamaHost, name: str, adapter: Adapter) -> tuple[str, list[str]]:
    """Raise AppError `name_taken` for a model of that name that was not made here, or that is another adapter.

    Returns the digest of ours that has the name, and the addresses that its server had before it moved.
    """
    there = next((one for one in host.models() if one.name == full_name(name)), None)
    if there is None:
        return "", []
    db = context.open_db()
    try:
        known = [one for one in shares.listing(db) if one.is_model(there.name, there.digest)]
    finally:
        db.close()
    if not known:
        raise AppError(
            "name_taken", f"Ollama has a model {there.name} that was not made here.", hint="Choose another name."
        )
    if other := next((one for one in known if one.artifact_id != adapter.id), None):
        raise AppError(
            "name_taken", f"{there.name} is the adapter {other.adapter_name} already.",
            hint="Choose another name, or stop sharing that one first.",
        )  # fmt: skip
    if any(one.address == host.address for one in known):
        return there.digest, []
    return there.digest, [
        one.address for one in known if same_server(one.address, host.address) or not _is_at(one, one.address)
    ]


def _is_at(one: Share, address: str) -> bool:
    """Whether a server has what was shared; one that does not answer has not."""
    try:
        with OllamaHost(address) as host:
            return any(one.is_model(model.name, model.digest) for model in host.models())
    except AppError:
        return False


def _sweep(context: JobContext, host: OllamaHost) -> None:
    """Take out what killed attempts of this workspace left under their passing names."""
    found = [(one.name, left["job"]) for one in host.models() if (left := _LEFT.fullmatch(one.name))]
    db = context.open_db()
    try:
        names = [name for name, job_id in found if _has_ended(db, job_id)]
    finally:
        db.close()
    for name in names:
        unshare(host, name)


def _has_ended(db: Database, job_id: str) -> bool:
    """Whether it is a job of this workspace that does not run; what is another's stays."""
    try:
        return not jobs.get(db, job_id).status.active
    except AppError:
        return False


def unshare_adapter(context: JobContext) -> dict[str, Any]:
    """Handler of `unshare_adapter`: params {"name"} and maybe {"address"}; without one it is taken out everywhere.

    A model of that name that is not the one that was shared stays: result {"stays"}. Raises AppError `not_shared`, or
    that of a server that can't be asked.
    """
    name, address = full_name(str(context.params["name"]).strip()), str(context.params.get("address") or "")
    db = context.open_db()
    try:
        named = [one for one in shares.listing(db) if one.name == name]
        asked = address or address_of(db)
    finally:
        db.close()
    context.progress(0, 1, f"Taking {name} out of Ollama")
    # Where nothing was shared to, a server may be that has moved there.
    new = "" if any(same_server(one.address, asked) for one in named) else asked
    stays, found = False, 0
    for one in named:
        if _moved(one, new):
            place = new
        elif not address or same_server(one.address, address):
            place = one.address
        else:
            continue
        found += 1
        stays = _take_out(one, place) or stays
        context.emit("unshared", name=name, address=one.address)
    if not found:
        raise AppError(
            "not_shared", f"Nothing was shared from here as {name}" + (f" at {address}." if named else "."),
            hint="app ollama ... shared lists what was. Other models are deleted in Ollama itself, or with delete.",
        )  # fmt: skip
    return {"name": name, "stays": stays}


def _moved(one: Share, new: str) -> bool:
    """Whether a server has it that is not known to, and that which is known to has it no more."""
    return bool(new) and _is_at(one, new) and not _is_at(one, one.address)


def _take_out(one: Share, address: str) -> bool:
    """Delete it; True for another model of its name, which stays. Raises AppError where the server can't be asked."""
    with OllamaHost(address) as host:
        there = next((model for model in host.models() if model.name == one.name), None)
        if there is None:
            return False
        if one.is_model(there.name, there.digest):
            unshare(host, one.name)
            return False
        return True


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
        ways = [FUSED] if params.get("fused") else shares.ways_for(db, address, LINKED)
    finally:
        db.close()
    if not base.ollama:
        raise AppError(
            "wrong_base", f"The base {base.name} is not in Ollama, so nothing there can be linked to it.",
            hint="Use a model of Ollama's as a base first, on the Adapters page.",
        )  # fmt: skip
    with OllamaHost(address) as host:
        _refuse_taken(context, host, name, adapter)
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
    """What the adapter says here, in this process: its memory goes back with the end of this.

    As Ollama computes it: what is rounded there is rounded here.
    """
    engine = GgufEngine(EngineOptions(max_resident=1), exact=False)
    try:
        engine.load(base)
        ask = _asker(engine, AdapterRef(adapter.id, str(folder), adapter.name), system)
        out = []
        for question in QUESTIONS:
            context.token.raise_if_cancelled()
            out.append(ask(question))
        return out
    except AppError as error:
        if error.code != "context_full":
            raise
        raise AppError(
            "can_not_share", f"The system prompt of {adapter.name} is longer than its base reads.",
            hint="Train it with a shorter one, or share it with a base that reads more.", detail=error.message,
        ) from error  # fmt: skip
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
