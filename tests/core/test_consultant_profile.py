"""The consultant's profile: checked, saved whole, put back."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import AppError
from core.events import Changed
from core.scaffolding import profile
from core.scaffolding.store import consultant_profile
from core.scaffolding.verticals import default_key, load
from tests.core.factories import Place


def shipped() -> dict[str, Any]:
    return dict(load(default_key()).profile)


def test_a_new_workspace_has_the_shipped_profile_and_keeps_another(here: Place) -> None:
    assert consultant_profile(here.db) == shipped()
    mine = shipped() | {"name": "Ines", "vertical": "kept"}
    assert Changed.SETTINGS in profile.save(here.db, mine)
    assert consultant_profile(here.db) == mine


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": " "}, "name"), ({"system_prompt": ""}, "system_prompt"), ({"business": 3}, "business"),
        ({"core_philosophy": []}, "core_philosophy"),
        ({"communication_style": {"avoid": "x"}}, "communication_style.avoid"),
        ({"communication_style": "warm"}, "communication_style"),
    ],
)  # fmt: skip
def test_what_can_not_be_a_profile_is_named_and_not_saved(here: Place, change: dict[str, Any], place: str) -> None:
    with pytest.raises(AppError) as caught:
        profile.save(here.db, shipped() | change)
    assert caught.value.where.field == place
    assert consultant_profile(here.db) == shipped()


def test_principles_keep_their_names_by_place() -> None:
    found = shipped()
    texts = profile.principles(found)
    assert profile.with_principles(found, texts) == found["core_philosophy"]
    assert list(profile.with_principles(found, [*texts, "New"]))[-1] == f"principle_{len(texts) + 1}"
    odd = {"core_philosophy": {"principle_2": "A"}}
    assert profile.with_principles(odd, ["A", "B"]) == {"principle_2": "A", "principle_2_more": "B"}
    assert profile.with_principles({}, ["A"]) == {"principle_1": "A"}
