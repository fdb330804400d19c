"""An adapter becomes a model of a real Ollama's in three ways, says the same there, and leaves nothing when it goes."""

from __future__ import annotations

import contextlib
import http.client
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest

from core import jobs
from core.adapters import shares
from core.adapters import sharing as sharing_work
from core.cancel import CancelToken
from core.errors import AppError, Cancelled
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Sampling
from core.inference.gguf.engine import GgufEngine, config_of
from core.inference.gguf.fuse import fuse
from core.inference.ollama import sharing as sharing_module
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.registry import Registry, manifest_of, with_layers
from core.inference.ollama.seen import CREATE, FUSED, REGISTRY, Step
from core.inference.ollama.sharing import LINKED, WAYS, Shared, share, unshare
from core.inference.ollama.template import pieces_of
from core.jobs import JobState
from core.models import store as models
from core.models.gguf_file import read_gguf
from core.models.practice import PRACTICE_ID, shipped_folder
from core.models.rendering import load_tokenizer
from core.training.exports import Exported
from core.training.exports.gguf_layout import write_gguf
from core.workspace import settings
from core.workspace.files import sha256_file
from tests.core.factories import place, run_job
from tests.support.chat import add_adapter
from tests.support.gguf_base import practice_gguf, write_random_adapter
from tests.support.in_process import run_in_process
from tests.support.ollama import NEW, OLD, RealOllama, add_model, free_port, running
from tests.support.patience import PATIENCE_S
from tests.support.registry import Halves

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ollama_sharing")]
SYSTEM = "You are a warm, plain-spoken consultant."
ASKED = ("How do I keep bread fresh?", "Who are you?", "Can I retire at 55?")
GREEDY = {"temperature": 0, "repeat_penalty": 1.0, "num_predict": 16, "seed": 0, "num_ctx": 512}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return practice_gguf(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_adapter(tmp_path_factory.mktemp("adapter") / "loud")


@pytest.fixture(scope="module")
def file(adapter: Path, base: Path) -> Path:
    """The adapter as GGUF."""
    path = adapter.with_name("loud.gguf")
    write_gguf(Exported(adapter, "Loud", config_of(read_gguf(base)), "practice"), path)
    return path


@pytest.fixture(scope="module")
def said(base: Path, adapter: Path) -> dict[str, str]:
    """What the live adapter answers."""
    engine = GgufEngine(EngineOptions())
    engine.load(base)
    out = {}
    for question in ASKED:
        talk = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        request = GenerateRequest(talk, AdapterRef("loud", str(adapter), "Loud"), Sampling(max_tokens=16))
        out[question] = "".join(piece.text for piece in engine.generate(request))
    engine.close()
    return out


@pytest.fixture(scope="module")
def template() -> str:
    tokenizer = load_tokenizer(shipped_folder())
    found = pieces_of(lambda talk, header: tokenizer.texts([(talk, header)], tokenizer.template)[0])
    assert found is not None
    return found.go()


@pytest.fixture(scope="module", params=[NEW, OLD])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, base: Path
) -> Iterator[RealOllama]:
    with running(request.param, tmp_path_factory.mktemp("ollama")) as made:
        add_model(made, base, "practice")
        yield made


@pytest.fixture
def host(server: RealOllama) -> Iterator[OllamaHost]:
    with OllamaHost(server.address) as found:
        yield found


def silent(*_args: object) -> None:
    pass


def wanted(file: Path, template: str, name: str = "loud") -> Shared:
    return Shared(name, "practice:latest", file, SYSTEM, template, {"num_ctx": 512})


@pytest.mark.parametrize("way", WAYS)
def test_it_answers_as_the_live_adapter_and_leaves_the_store_as_it_was(
    server: RealOllama, host: OllamaHost, file: Path, template: str, said: dict[str, str], way: str
) -> None:
    before = server.blobs
    if way == CREATE and server.version == NEW:
        with pytest.raises(AppError) as caught:
            share(host, wanted(file, template), [way], CancelToken(), silent)
        assert caught.value.code == "can_not_share"
        assert "no longer supported" in caught.value.detail
        assert server.blobs == before
        return
    assert share(host, wanted(file, template), [way], CancelToken(), silent) == way
    names = [model.name for model in host.models()]
    assert names == ["loud:latest", "practice:latest"]
    answers = {question: host.answer("loud", [{"role": "user", "content": question}], GREEDY) for question in ASKED}
    assert answers == said
    assert len({*said.values()}) == len(ASKED)
    shown = host.details("loud")
    assert shown.adapted is (way in LINKED)
    if shown.adapted:
        with pytest.raises(AppError, match="a base with an adapter in it"):
            host.file("loud")
    assert SYSTEM in (shown.info.get("system", "") or host._client.show("loud").modelfile or "")
    assert "num_ctx" in shown.parameters
    if way in LINKED:
        # What is added is the adapter and a few lines, not the base once more.
        added = sum((server.store / "blobs" / name).stat().st_size for name in server.blobs - before)
        assert added < 2 * file.stat().st_size < host.file("practice").stat().st_size
    unshare(host, "loud")
    unshare(host, "loud")
    assert [model.name for model in host.models()] == ["practice:latest"]
    assert server.blobs == before


def test_the_first_way_that_is_taken_is_used_and_the_others_say_why_not(
    server: RealOllama, host: OllamaHost, file: Path, template: str
) -> None:
    way = share(host, wanted(file, template), WAYS, CancelToken(), silent)
    assert way == (REGISTRY if server.version == NEW else CREATE)
    # Once more under the same name it is the newer one.
    assert share(host, wanted(file, template), [way], CancelToken(), silent) == way
    unshare(host, "loud")


def test_a_base_that_is_gone_is_no_reason_to_try_the_next_way(host: OllamaHost, file: Path, template: str) -> None:
    gone = Shared("loud", "never-heard-of", file, SYSTEM, template)
    with pytest.raises(AppError) as caught:
        share(host, gone, [REGISTRY, FUSED], CancelToken(), silent)
    assert caught.value.code == "no_such_model"


def test_the_modelfile_says_all_of_it(file: Path) -> None:
    shared = Shared("loud", "qwen3:4b", file, "Be kind.", "{{ .Prompt }}", {"stop": ["<|im_end|>"], "num_ctx": 8192})
    about = [
        'TEMPLATE """{{ .Prompt }}"""', 'SYSTEM """Be kind."""', 'PARAMETER stop "<|im_end|>"',
        "PARAMETER num_ctx 8192",
    ]  # fmt: skip
    assert shared.modelfile("registry").splitlines() == ["FROM qwen3:4b", "ADAPTER ./loud.gguf", *about]
    assert shared.modelfile("fused").splitlines() == ["FROM ./fused.gguf", *about]


def test_a_manifest_keeps_what_is_not_replaced() -> None:
    kind = "application/vnd.ollama.image."
    old = {"layers": [{"mediaType": f"{kind}model", "digest": "m"}, {"mediaType": f"{kind}system", "digest": "s"}]}
    made, blobs = with_layers(old, {"system": b"Be kind.", "adapter": b"bytes"})
    assert [layer["mediaType"].removeprefix(kind) for layer in made["layers"]] == ["model", "system", "adapter"]
    assert set(blobs) == {layer["digest"] for layer in made["layers"][1:]}
    with pytest.raises(AppError, match="can't be read"):
        manifest_of(Path("/nowhere"), "qwen3:4b")


def test_templates_that_put_fixed_texts_around_are_translated() -> None:
    def render(talk: object, header: bool) -> str:
        lines = [f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in talk]  # type: ignore[attr-defined]
        return "".join(lines) + ("<|im_start|>assistant\n" if header else "")

    found = pieces_of(render)
    assert found is not None
    assert (found.system, found.first, found.header) == (
        "<|im_start|>system\n", "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n",
    )  # fmt: skip
    assert '{{ "<|im_start|>user\\n" }}' in found.go()
    # Go knows no pairs of surrogates.
    assert "😀" in replace(found, header="😀").go()


@pytest.mark.parametrize("render", [
    lambda talk, _header: str(len(talk)),
    lambda talk, _header: "".join(m["content"] for m in talk) + ("!" if len(talk) > 3 else ""),
    lambda talk, _header: 1 / 0,
    lambda talk, _header: "".join(m["content"] for m in reversed(talk)),
])  # fmt: skip
def test_templates_that_do_more_are_not(render: object) -> None:
    assert pieces_of(render) is None  # type: ignore[arg-type]


def test_an_adapter_is_shared_compared_listed_and_taken_out_again(
    server: RealOllama, adapter: Path, tmp_path: Path
) -> None:
    before = server.blobs
    here = place(tmp_path)
    run_job(here, "add_base_model", {"path": PRACTICE_ID})
    taken = run_job(here, "take_ollama", {"name": "practice", "address": server.address})
    run_job(here, "compare_bases", {})
    folder = here.workspace.adapters / "loud"
    shutil.copytree(adapter, folder)
    add_adapter(here.db, here.workspace, "loud", "Loud", base=PRACTICE_ID, passport={"system_prompt": SYSTEM})
    params = {"adapter_id": "loud", "base_id": taken.result["base_model_id"], "address": server.address}
    job = run_job(here, "share_adapter", {**params, "name": "loud"})
    assert (job.status, job.error) == (JobState.COMPLETED, None)
    assert (job.result["same"], job.result["asked"]) == (5, 5)
    assert job.result["way"] == (REGISTRY if server.version == NEW else CREATE)
    (one,) = shares.listing(here.db)
    assert (one.name, one.adapter_name, one.is_current) == ("loud:latest", "Loud", True)
    # What this server took is tried first the next time.
    assert shares.ways_for(here.db, server.address, LINKED)[0] == one.way
    write_random_adapter(folder, seed=7)
    here.db.execute("update model_artifacts set sha256 = ?", [sha256_file(folder / "adapters.safetensors")])
    assert [one.is_current for one in shares.listing(here.db)] == [False]
    again = run_job(here, "share_adapter", {**params, "name": "loud"})
    assert again.status is JobState.COMPLETED
    assert [one.is_current for one in shares.listing(here.db)] == [True]
    for name, code in (("practice", "name_taken"), ("Big Name", "bad_name")):
        refused = run_job(here, "share_adapter", {**params, "name": name})
        assert refused.error is not None
        assert refused.error.code == code
    foreign = run_job(here, "unshare_adapter", {"name": "practice"})
    assert foreign.error is not None
    assert foreign.error.code == "not_shared"
    assert run_job(here, "unshare_adapter", {"name": "loud"}).status is JobState.COMPLETED
    assert shares.listing(here.db) == []
    assert server.blobs == before
    here.db.close()


def test_what_is_not_ours_is_never_touched(server: RealOllama, adapter: Path, tmp_path: Path) -> None:
    """Names that look like ours, a name that somebody else has taken since, and a trial of another workspace."""
    here = place(tmp_path)
    run_job(here, "add_base_model", {"path": PRACTICE_ID})
    taken = run_job(here, "take_ollama", {"name": "practice", "address": server.address})
    run_job(here, "compare_bases", {})
    shutil.copytree(adapter, here.workspace.adapters / "loud")
    add_adapter(here.db, here.workspace, "loud", "Loud", base=PRACTICE_ID)
    params = {"adapter_id": "loud", "base_id": taken.result["base_model_id"], "address": server.address, "name": "loud"}
    theirs = ("loud-20240101", "bright-run-trial-00000000-0000-0000-0000-000000000000")
    killed = jobs.create(here.db, "share_adapter", "Killed", params)
    jobs.set_state(here.db, killed.id, JobState.INTERRUPTED)
    with OllamaHost(server.address) as host:
        for name in (*theirs, f"bright-run-trial-{killed.id}"):
            host.copy("practice", name)
        assert run_job(here, "share_adapter", params).status is JobState.COMPLETED
        # Only what a killed attempt of this workspace left is gone.
        assert {model.name.removesuffix(":latest") for model in host.models()} == {"loud", "practice", *theirs}
        host.delete("loud")
        host.copy("practice", "loud")
        refused = run_job(here, "share_adapter", params)
        assert refused.error is not None
        assert refused.error.code == "name_taken"
        done = run_job(here, "unshare_adapter", {"name": "loud"})
        assert (done.status, done.result["stays"]) == (JobState.COMPLETED, True)
        assert host.look().model("loud") is not None
        for name in ("loud", *theirs):
            host.delete(name)
    here.db.close()


class Sharing:
    """A workspace with one adapter, "loud", and a base of Ollama's; what is shared is called `name`."""

    def __init__(self, folder: Path, server: RealOllama, adapter: Path) -> None:
        self.here, self.server = place(folder), server
        run_job(self.here, "add_base_model", {"path": PRACTICE_ID})
        taken = run_job(self.here, "take_ollama", {"name": "practice", "address": server.address})
        run_job(self.here, "compare_bases", {})
        self.base = taken.result["base_model_id"]
        self.add("loud", adapter)

    def add(self, ident: str, adapter: Path) -> Path:
        folder = self.here.workspace.adapters / ident
        shutil.copytree(adapter, folder)
        add_adapter(self.here.db, self.here.workspace, ident, ident.title(), base=PRACTICE_ID)
        return folder

    def share(self, ident: str = "loud", name: str = "mine") -> str:
        """Its error's code, empty where it was done."""
        job = run_in_process(self.here.db, self.here.workspace, "share_adapter", {
            "adapter_id": ident, "base_id": self.base, "address": self.server.address, "name": name,
        })  # fmt: skip
        return job.error.code if job.error is not None else ""

    @property
    def listed(self) -> list[tuple[str, str]]:
        return [(one.adapter_name, one.address) for one in shares.listing(self.here.db)]


@pytest.fixture
def sharing(server: RealOllama, adapter: Path, tmp_path: Path) -> Iterator[Sharing]:
    found, before = Sharing(tmp_path, server, adapter), server.blobs
    yield found
    found.here.db.close()
    assert server.blobs == before


def test_a_name_that_somebody_takes_while_it_is_compared_stays_theirs(
    sharing: Sharing, host: OllamaHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = OllamaHost.unload

    def take(self: OllamaHost, name: str) -> None:
        real(self, name)
        host.copy("practice", "mine")

    monkeypatch.setattr(OllamaHost, "unload", take)
    assert sharing.share() == "name_taken"
    assert sharing.listed == []
    models_there = {model.name: model.digest for model in host.models()}
    assert models_there["mine:latest"] == models_there["practice:latest"]
    assert set(models_there) == {"mine:latest", "practice:latest"}
    host.delete("mine")


@pytest.mark.parametrize("after", [False, True])
def test_one_that_was_killed_while_it_got_its_name_is_known_as_ours(
    sharing: Sharing, host: OllamaHost, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    real = sharing_work.take_name

    def die(*args: Any) -> None:
        if after:
            real(*args)
        raise AppError("killed", "As far as what is noted goes, this is a kill.")

    assert sharing.share() == ""
    write_random_adapter(sharing.here.workspace.adapters / "loud", seed=9)
    digest = sha256_file(sharing.here.workspace.adapters / "loud" / "adapters.safetensors")
    sharing.here.db.execute("update model_artifacts set sha256 = ?", [digest])
    with monkeypatch.context() as patch:
        patch.setattr(sharing_work, "take_name", die)
        assert sharing.share() == "killed"
    # Another one in between takes what the killed one left away, and nothing of what is known.
    assert sharing.share(name="other") == ""
    assert sharing.share() == ""
    for name in ("mine", "other"):
        assert run_job(sharing.here, "unshare_adapter", {"name": name}).result["stays"] is False
    assert [model.name for model in host.models()] == ["practice:latest"]
    assert sharing.listed == []


def test_a_server_that_moved_still_has_what_was_shared_to_it(sharing: Sharing, host: OllamaHost) -> None:
    db, nowhere = sharing.here.db, f"http://127.0.0.1:{free_port()}"
    settings.put(db, "ollama_address", sharing.server.address)
    assert sharing.share() == ""
    db.execute("update ollama_shares set address = ?", [nowhere])
    assert sharing.share() == ""
    assert sharing.listed == [("Loud", sharing.server.address)]
    db.execute("update ollama_shares set address = ?", [nowhere])
    # Where it is not to be found it stays noted: its server may only be stopped.
    settings.put(db, "ollama_address", f"http://127.0.0.1:{free_port()}")
    lost = run_job(sharing.here, "unshare_adapter", {"name": "mine"})
    assert lost.error is not None
    assert (lost.error.code, sharing.listed) == ("ollama_stopped", [("Loud", nowhere)])
    settings.put(db, "ollama_address", sharing.server.address)
    done = run_job(sharing.here, "unshare_adapter", {"name": "mine"})
    assert (done.error, done.result["stays"], sharing.listed) == (None, False, [])
    assert host.look().model("mine") is None


def test_a_server_by_another_name_is_the_same_server(sharing: Sharing) -> None:
    plain = sharing.server.address
    other = plain.replace("127.0.0.1", "localhost")
    assert sharing.share() == ""
    again = run_in_process(sharing.here.db, sharing.here.workspace, "share_adapter", {
        "adapter_id": "loud", "base_id": sharing.base, "address": other, "name": "mine",
    })  # fmt: skip
    assert (again.error, sharing.listed) == (None, [("Loud", other)])
    done = run_job(sharing.here, "unshare_adapter", {"name": "mine", "address": plain})
    assert (done.error, sharing.listed) == (None, [])


def test_of_two_servers_with_the_same_share_the_one_that_is_named_loses_it(
    sharing: Sharing, host: OllamaHost, base: Path, tmp_path: Path
) -> None:
    with running(NEW, tmp_path / "second") as second, OllamaHost(second.address) as there:
        add_model(second, base, "practice")
        assert sharing.share() == ""
        refused = run_job(sharing.here, "unshare_adapter", {"name": "mine", "address": second.address})
        assert refused.error is not None
        assert refused.error.code == "not_shared"
        first = sharing.server
        sharing.server = second
        assert sharing.share() == ""
        assert {address for _, address in sharing.listed} == {first.address, second.address}
        run_job(sharing.here, "unshare_adapter", {"name": "mine", "address": second.address})
        assert (there.look().model("mine"), sharing.listed) == (None, [("Loud", first.address)])
        assert host.look().model("mine") is not None
        run_job(sharing.here, "unshare_adapter", {"name": "mine"})
        sharing.server = first


def test_a_name_of_another_adapter_and_a_changed_file_are_refused(
    sharing: Sharing, host: OllamaHost, tmp_path: Path
) -> None:
    assert sharing.share() == ""
    kind = sharing.add("kind", write_random_adapter(tmp_path / "kind", seed=5))
    assert sharing.share("kind") == "name_taken"
    assert sharing.listed == [("Loud", sharing.server.address)]
    shutil.copy(sharing.here.workspace.adapters / "loud" / "adapters.safetensors", kind)
    assert sharing.share("kind", "kind") == "damaged_adapter"
    run_job(sharing.here, "unshare_adapter", {"name": "mine"})
    assert [model.name for model in host.models()] == ["practice:latest"]


def test_a_pull_that_is_stopped_leaves_nothing(
    server: RealOllama, host: OllamaHost, file: Path, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = server.blobs
    for words in ("pulling", "verifying", "writing manifest"):
        token = CancelToken()
        # What is not whole is not written; whatever comes later is, and waited for as long as this machine needs.
        early = words == "pulling"
        monkeypatch.setattr(sharing_module, "Registry", Halves if early else Registry)
        monkeypatch.setattr(sharing_module, "GONE_S", 0.5 if early else PATIENCE_S)
        real = host.pull

        def pull(name: str, _token: CancelToken, *, insecure: bool = False, words: str = words) -> Iterator[Step]:
            for step in real(name, token, insecure=insecure):  # noqa: B023 - called within its round
                if words in step.said:
                    token.cancel("user")  # noqa: B023
                yield step

        host.pull = pull  # type: ignore[method-assign]
        try:
            with pytest.raises(Cancelled):
                share(host, wanted(file, template), [REGISTRY], token, silent)
        finally:
            host.pull = real  # type: ignore[method-assign]
        assert [model.name for model in host.models()] == ["practice:latest"]
        assert server.blobs == before


@pytest.mark.parametrize("alignment", [8, 256, 4096])
def test_a_base_of_another_alignment_is_fused_byte_for_byte(
    base: Path, file: Path, tmp_path: Path, alignment: int
) -> None:
    own = tmp_path / "own.gguf"
    writer = gguf.GGUFWriter(own, "llama")
    writer.add_custom_alignment(alignment)
    found = read_gguf(base)
    for name, value in found.reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            sub = value.types[-1] if value.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, value.contents(), value.types[0], sub_type=sub)
    for tensor in found.reader.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    fuse(read_gguf(own), read_gguf(file), tmp_path / "fused.gguf", CancelToken())
    made = {tensor.name: tensor.data for tensor in read_gguf(tmp_path / "fused.gguf").reader.tensors}
    touched = {name.removesuffix(".lora_a") for name in read_gguf(file).shapes if name.endswith(".lora_a")}
    for tensor in found.reader.tensors:
        assert (made[tensor.name].tobytes() == tensor.data.tobytes()) is (tensor.name not in touched), tensor.name


def test_a_registry_serves_its_model_to_nobody_who_does_not_know_its_name() -> None:
    with Registry("known", {"layers": []}, {"sha256:1": b"secret"}) as registry:
        for path, host_name, status in (
            ("/v2/bright-run/known/manifests/latest", "127.0.0.1", 200),
            ("/v2/bright-run/other/manifests/latest", "127.0.0.1", 404),
            ("/v2/bright-run/other/blobs/sha256:1", "localhost", 404),
            ("/v2/bright-run/known/blobs/sha256:1", "evil.example", 404),
        ):
            with contextlib.closing(http.client.HTTPConnection(registry.address.split("/")[2])) as connection:
                connection.request("GET", path, headers={"Host": host_name})
                assert connection.getresponse().status == status, path


def test_one_that_answers_otherwise_there_is_taken_out_again(server: RealOllama, adapter: Path, tmp_path: Path) -> None:
    before = server.blobs
    here = place(tmp_path)
    run_job(here, "add_base_model", {"path": PRACTICE_ID})
    taken = run_job(here, "take_ollama", {"name": "practice", "address": server.address})
    run_job(here, "compare_bases", {})
    shutil.copytree(adapter, here.workspace.adapters / "loud")
    add_adapter(here.db, here.workspace, "loud", "Loud", base=PRACTICE_ID)
    # Another file in the store than the one that is asked here.
    base = models.get(here.db, str(taken.result["base_model_id"]))
    other = practice_gguf(tmp_path / "other", louder="blk.1.ffn_down")
    here.db.execute("update base_models set path = ? where id = ?", [str(other), base.id])
    params = {"adapter_id": "loud", "base_id": base.id, "name": "loud", "address": server.address}
    job = run_job(here, "share_adapter", params)
    assert job.error is not None
    assert job.error.code == "share_differs"
    assert "here: " in job.error.detail
    assert server.blobs == before
    here.db.close()
