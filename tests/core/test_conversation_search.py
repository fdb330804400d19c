"""The search over the turns' words, and that it is kept in step with what happens to conversations."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import trash
from core.conversations import digests, store
from core.conversations.store import Filter
from core.db.connection import open_database
from core.enrichment.store import waiting
from core.workspace.files import write_json
from tests.core.factories import Place, add_conversation, load, parsed, raw, run_job


def found(here: Place, text: str) -> list[str]:
    rows = store.listing(here.db, Filter(search=text), order_by="title", descending=False)
    assert store.count(here.db, Filter(search=text)) == len(rows)
    return [row.title for row in rows]


@pytest.fixture
def three(here: Place) -> Place:
    add_conversation(here, parsed(("Ich brauche einen Überblick.", "Wir beginnen mit Straße und Haus."), title="A"))
    add_conversation(here, parsed(("I don't sleep.", "Let us look at the e-mail from the bank."), title="B"))
    add_conversation(here, parsed(("My Notgroschen is gone.", None), title="Überblick über alles"))
    return here


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("Überblick", ["A", "Überblick über alles"]), ("uberblick", ["A", "Überblick über alles"]),
        ("U\u0308BERBL", ["A", "Überblick über alles"]), ("strasse", ["A"]), ("notgr", ["Überblick über alles"]),
        ("groschen", []), ("don't", ["B"]), ("e-mail", ["B"]), ("mail e", ["B"]), ("einen haus", ["A"]),
        ("haus bank", []), ("berblick", ["Überblick über alles"]),
        ("", ["A", "B", "Überblick über alles"]),
    ],
)  # fmt: skip
def test_words_of_turns_are_found_by_their_beginning(three: Place, text: str, titles: list[str]) -> None:
    assert found(three, text) == titles


@pytest.mark.parametrize(
    "text",
    ['"', "'", '""', "*", "a*", "(", ")", "-", "NOT", "AND OR", "NEAR(a b)", "words:", "^a", "a:b", "{", "+", "\0",
     "a\0b", "\ud800", "%", "_", "--", ";", "\\", "😀", "\u0301", "\u200b", "x" * 5000, '"a" "b', "col : x", "…", "?1"],
)  # fmt: skip
def test_no_characters_are_an_error(three: Place, text: str) -> None:
    assert set(found(three, text)) <= {"A", "B", "Überblick über alles"}


def test_notes_keys_and_names_are_searched_as_they_are_now(three: Place) -> None:
    (first,) = store.ids(three.db, Filter(search="strasse"))
    assert found(three, "warmth") == []
    store.set_status(three.db, [first], "approved", "More WARMTH")
    assert found(three, "warmth") == ["A"]
    store.set_scaffolding(
        three.db, three.workspace, first, persona_key="anxious_planner", emotional_arc_key="confusion_to_clarity",
        training_topic_key="mortgage_payoff_strategy",
    )  # fmt: skip
    assert found(three, "anxious") == ["A"]
    assert found(three, first[:13].upper()) == ["A"]


def test_imported_conversations_are_found_and_those_in_the_trash_are_not(here: Place, source: Path) -> None:
    write_json(source / "one.json", raw(1))
    (ident,) = load(here, source / "one.json").result["conversations"]
    assert found(here, "stupid") == ["Number 1"]
    assert digests.behind(here.db) == 0
    trash.delete(here.db, "conversations", [ident])
    assert found(here, "stupid") == []
    trash.restore(here.db, "conversations", [ident])
    assert found(here, "stupid") == ["Number 1"]
    trash.delete(here.db, "conversations", [ident])
    trash.purge(here.db, here.workspace, "conversations", [ident])
    assert here.db.execute("select count(*) from conversation_search").fetchone()[0] == 0
    assert here.db.execute("select count(*) from conversation_buckets").fetchone()[0] == 0


def test_conversations_of_an_older_workspace_are_read_by_a_job(three: Place) -> None:
    broken = add_conversation(three, parsed(title="Broken"))
    three.db.execute("delete from conversation_digests")
    three.db.conn.commit()
    three.workspace.absolute(store.get(three.db, broken).file_path or "").unlink()
    assert found(three, "bank") == []
    assert digests.behind(three.db) == 4
    job = run_job(three, "check_conversations", {})
    assert (job.status, job.result) == ("completed", {"checked": 4})
    assert digests.behind(three.db) == 0
    assert found(three, "bank") == ["B"]
    assert [remark.text for remark in digests.remarks(three.db, broken)] == ["Its file can't be read"]
    assert len(waiting(three.db)) == 4


def test_words_are_found_after_sqlite_renumbered_the_rows(three: Place) -> None:
    three.db.execute("delete from conversations where title = 'A'")
    three.db.conn.commit()
    three.db.execute("vacuum")
    db = open_database(three.workspace.db_path, three.workspace.backups)
    assert [row.title for row in store.listing(db, Filter(search="bank"))] == ["B"]
    db.close()
