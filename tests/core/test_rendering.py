from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from core.errors import AppError
from core.models.practice import shipped_folder
from core.models.rendering import ChatTokenizer, load_tokenizer

# Families of chat templates as small fixtures, all over the practice model's vocabulary.
TEMPLATES = {
    "chatml": "{% for m in messages %}<|{{m.role}}|>{{m.content}}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "no_system": "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<|{{m.role}}|>{{m.content}}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "mistral": "{% for m in messages %}{% if m.role == 'user' %}[INST] {{m.content}} [/INST]"
    "{% elif m.role == 'system' %}[SYS] {{m.content}} [/SYS]{% else %} {{m.content}}<|end|>{% endif %}{% endfor %}",
    "thinking": "{% for m in messages %}<|{{m.role}}|>{% if m.role == 'assistant' and loop.last %}<think></think>"
    "{% endif %}{{m.content}}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
}
TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hello there"},
    {"role": "assistant", "content": "Good day to you"},
    {"role": "user", "content": "And now"},
    {"role": "assistant", "content": "We rest"},
]


@pytest.fixture(scope="module")
def practice() -> ChatTokenizer:
    return load_tokenizer(shipped_folder())


def with_template(tmp_path: Path, template: str) -> ChatTokenizer:
    for path in shipped_folder().iterdir():
        if path.name not in ("model.safetensors", "chat_template.jinja"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    config = orjson.loads((tmp_path / "tokenizer_config.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_bytes(orjson.dumps({**config, "chat_template": template}))
    return load_tokenizer(tmp_path)


def trained_text(tokenizer: ChatTokenizer, messages: list[dict[str, object]]) -> list[str]:
    rendered = tokenizer.render(messages)
    runs: list[list[int]] = []
    before = 0.0
    for ident, weight in zip(rendered.ids, rendered.weights, strict=True):
        if weight:
            if not before:
                runs.append([])
            runs[-1].append(ident)
        before = weight
    return [tokenizer.raw.decode(run) for run in runs]


def test_every_assistant_turn_trains_with_its_end_token(practice: ChatTokenizer) -> None:
    assert trained_text(practice, list(TALK)) == ["Good day to you<|end|>", "We rest<|end|>"]


@pytest.mark.parametrize("name", ["chatml", "no_system", "mistral", "thinking"])
def test_the_mask_is_right_for_other_templates(tmp_path: Path, name: str) -> None:
    tokenizer = with_template(tmp_path, TEMPLATES[name])
    texts = [text.strip() for text in trained_text(tokenizer, list(TALK))]
    assert [t.replace("<think></think>", "") for t in texts] == ["Good day to you<|end|>", "We rest<|end|>"]


def test_a_system_prompt_is_not_lost_on_a_template_without_a_system_role(tmp_path: Path) -> None:
    tokenizer = with_template(tmp_path, TEMPLATES["no_system"])
    assert tokenizer.raw.decode(tokenizer.render(TALK).ids).startswith("<|user|>Be kind.\n\nHello there")


def test_the_chat_sends_exactly_what_was_trained(practice: ChatTokenizer) -> None:
    full = practice.render(TALK).ids
    for index in (2, 4):
        prompt = practice.prompt(TALK[:index])
        assert full[: len(prompt)] == prompt


def test_weight_zero_and_null_do_not_train(practice: ChatTokenizer) -> None:
    talk = [dict(m) for m in TALK]
    talk[2]["weight"] = 0
    assert trained_text(practice, talk) == ["We rest<|end|>"]


def test_a_template_that_changes_earlier_turns_is_refused_by_name(tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ loop.length }}<|{{m.role}}|>{{m.content}}<|end|>{% endfor %}"
    with pytest.raises(AppError) as caught:
        with_template(tmp_path, template).render(TALK)
    assert caught.value.code == "template_unsupported"
    assert tmp_path.name in caught.value.message


def test_a_template_without_an_end_token_is_refused(tmp_path: Path) -> None:
    template = "{% for m in messages %}<|{{m.role}}|>{{m.content}} {% endfor %}{% if add_generation_prompt %}" + (
        "<|assistant|>{% endif %}"
    )
    with pytest.raises(AppError, match="end-of-turn"):
        with_template(tmp_path, template).render(TALK)


def test_a_template_that_ends_only_the_conversation_is_refused(tmp_path: Path) -> None:
    """As Phi-3's: a mark after every turn that is no end token here, the end token after the last turn alone."""
    template = (
        "{% for m in messages %}[{{m.role}}] {{m.content}} [over] {% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% else %}<|end|>{% endif %}"
    )
    with pytest.raises(AppError, match="end-of-turn") as caught:
        with_template(tmp_path, template).render(TALK)
    assert caught.value.code == "template_unsupported"


def test_control_tokens_in_a_text_are_refused_with_the_turn(practice: ChatTokenizer) -> None:
    talk = [*TALK[:3], {"role": "user", "content": "and <|end|> now"}, TALK[4]]
    with pytest.raises(AppError) as caught:
        practice.render(talk)
    assert caught.value.code == "special_token_in_text"
    assert "Turn 4" in caught.value.message


def test_a_folder_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    with pytest.raises(AppError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == "tokenizer_missing"
