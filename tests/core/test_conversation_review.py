"""Tags, and scores by hand."""

from __future__ import annotations

import pytest

from core import trash
from core.conversations import review, store
from core.conversations.store import Filter
from core.errors import AppError
from tests.core.factories import Place, add_conversation, enrich, parsed, read


def test_tags_are_one_whatever_their_capitals_and_go_with_their_conversation(here: Place) -> None:
    one, two = add_conversation(here), add_conversation(here, parsed(("a", "b")))
    assert review.add_tag(here.db, [one], "  To   keep ")[1] == [one]
    assert review.add_tag(here.db, [one, two], "to KEEP")[1] == [two]
    assert review.tags(here.db, two) == ["To keep"]
    assert review.all_tags(here.db) == [("To keep", 2)]
    assert set(store.ids(here.db, Filter(tag="TO KEEP"))) == {one, two}
    assert review.remove_tag(here.db, [two, "gone"], "to keep")[1] == [two]
    assert store.ids(here.db, Filter(tag="to keep")) == [one]
    review.add_tag(here.db, [one], "Übung")
    assert review.add_tag(here.db, [one, two], "übung")[1] == [two]
    assert set(review.remove_tag(here.db, [one, two], "ÜBUNG")[1]) == {one, two}
    trash.delete(here.db, "conversations", [one])
    assert review.all_tags(here.db) == []
    trash.restore(here.db, "conversations", [one])
    assert review.tags(here.db, one) == ["To keep"]
    for text in (" ", "x" * 41, "\u200b", "\ud800"):
        with pytest.raises(AppError) as refused:
            review.add_tag(here.db, [one], text)
        assert refused.value.code == "wrong_tag"


def test_scores_by_hand_count_and_survive_enrichment(here: Place) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    computed = store.get(here.db, ident).quality_score
    assert computed is not None
    review.rate(here.db, ident, {"empathy_score": 1.0, "clarity_score": 2.0})
    found = store.get(here.db, ident)
    assert (found.human_score, found.score, found.quality_score, found.human_reviewed) == (1.5, 1.5, computed, True)
    assert store.ids(here.db, Filter(min_quality=2.0)) == []
    enrich(here, ident)
    found = store.get(here.db, ident)
    assert found.human_criteria == {"empathy_score": 1.0, "clarity_score": 2.0}
    pair = read(here, found.enriched_file_path or "")["training_pairs"][0]
    assert pair["training_metadata"]["human_reviewed"] is True
    review.rate(here.db, ident, {})
    assert store.get(here.db, ident).score == computed
    for scores in ({"empathy_score": 6.0}, {"kindness": 3.0}):
        with pytest.raises(AppError) as refused:
            review.rate(here.db, ident, scores)
        assert refused.value.code == "wrong_score"
