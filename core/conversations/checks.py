"""Local checks of a conversation's words, by rules: structure, repeats, placeholders, personal data, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from core.conversations.parse import ROLES, Turn
from core.db.connection import fold

# A sentence as it stands, and its words.
Sentence = tuple[str, list[str]]
LONG_SENTENCE = 8
LONG_TURN = 8_000


class Check(IntFlag):
    """What was found, as bits of `conversation_digests.flags`; the numbers are stored and never change."""

    NONE = 0
    STRUCTURE = 1
    REPEATS = 2
    PLACEHOLDERS = 4
    PERSONAL = 8
    SECRETS = 16
    NEAR_DUPLICATE = 32
    UNREADABLE = 64


@dataclass(frozen=True)
class Remark:
    """One finding; `turn` from 1, 0 for the whole. What is secret is named and never repeated."""

    check: Check
    turn: int
    text: str

    def to_json(self) -> dict[str, Any]:
        """As in the database."""
        return {"check": int(self.check), "turn": self.turn, "text": self.text}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Remark:
        """Back from `to_json`."""
        return cls(Check(value["check"]), int(value["turn"]), str(value["text"]))


_PLACEHOLDER = re.compile(
    r"\{\{[^{}]{0,80}\}\}|\$\{[^{}]{1,80}\}|<<[^<>]{1,80}>>|\[(?:insert|your|client|name|amount|date|company)\b[^\]]{0,80}\]"
    r"|\blorem ipsum\b|\bTODO\b|\bTBD\b|\bXXX+\b",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^\s*\**(?:client|customer|consultant|support engineer|user|assistant|advisor|human|ai)\**\s*:", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")
_WORD = re.compile(r"\w+")
# Most texts have none of these marks, and looking for them is much faster than the patterns they belong to.
_PLACEHOLDER_MARKS = ("{{", "${", "<<", "[", "lorem ipsum", "todo", "tbd", "xxx")
# Shorter runs of digits belong to no number that is looked for.
_FIVE_DIGITS = re.compile(r"\d(?:[ ().\-/]{0,3}\d){4}")
_SECRETS = (
    (
        "an API key", ("sk-", "akia", "aiza"),
        re.compile(r"\b(?:sk-(?:ant-|proj-)?[A-Za-z0-9_\-]{16,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_\-]{30,})"),
    ),
    (
        "an access token", ("gh", "hf_", "xox"),
        re.compile(r"\b(?:gh[pousr]_|hf_)[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    ),
    ("an access token", ("eyj",), re.compile(r"\beyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.")),
    ("a private key", ("-----begin",), re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    (
        "a password", ("password", "passphrase"),
        re.compile(r"(?i)\b(?:password|passphrase)\s*(?:is|:|=)\s*['\"]?(?=\S*[\d!@#$%^&*])\S{6,}"),
    ),
)  # fmt: skip
_EMAIL = re.compile(r"\b[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9.\-]{1,190}\.[A-Za-z]{2,24}\b")
_PHONE = re.compile(
    r"(?<![\w.,$€£])(?:\+\d{1,3}[ .\-/]?(?:\(?\d{1,5}\)?[ .\-/]?){2,5}\d{2,4}"
    r"|\(\d{3}\) ?\d{3}[ .\-]\d{4}|\d{3}[.\-]\d{3}[.\-]\d{4})(?![\w%])"
)
_SSN = re.compile(r"(?<![\d\-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d\-])")
_CARD = re.compile(r"(?<![\d.,$€£])\d(?:[ \-]?\d){12,18}(?![\d%])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")


def sentences(text: str) -> list[Sentence]:
    """A text cut into sentences, each with its words, folded."""
    return [(part, _WORD.findall(fold(part) or "")) for part in _SENTENCE.split(text)]


def examine(turns: Sequence[Turn], spoken: Sequence[Sequence[Sentence]]) -> list[Remark]:
    """Everything that is found, in the order of the turns; one remark a turn and kind of finding.

    `spoken` are the turns' `sentences`.
    """
    out = [*_structure(turns), *_repeats(spoken)]
    for number, turn in enumerate(turns, start=1):
        text = turn.content or ""
        low = text.lower()
        if _has(low, _PLACEHOLDER_MARKS) and (found := _PLACEHOLDER.search(text)):
            out.append(Remark(Check.PLACEHOLDERS, number, f"A placeholder is left: {found.group()[:60]}"))
        out += [Remark(Check.PERSONAL, number, f"Contains {what}") for what in dict.fromkeys(_personal(text))]
        secrets = dict.fromkeys(what for what, marks, pattern in _SECRETS if _has(low, marks) and pattern.search(text))
        out += [Remark(Check.SECRETS, number, f"Contains what looks like {what}") for what in secrets]
    return sorted(out, key=lambda remark: (remark.turn, remark.check))


def _has(low: str, marks: Sequence[str]) -> bool:
    return any(mark in low for mark in marks)


def _structure(turns: Sequence[Turn]) -> Iterator[Remark]:
    for number, turn in enumerate(turns, start=1):
        text = turn.content or ""
        if turn.role != ROLES[(number - 1) % 2]:
            yield Remark(Check.STRUCTURE, number, "Client and consultant do not take turns here")
        if not text.strip():
            yield Remark(Check.STRUCTURE, number, "Has no words")
        elif _LABEL.match(text):
            yield Remark(Check.STRUCTURE, number, "Begins with the speaker's name")
        if len(text) > LONG_TURN:
            yield Remark(Check.STRUCTURE, number, f"Is {len(text):,} characters long")
    if not turns:
        yield Remark(Check.STRUCTURE, 0, "Has no turns")


def _repeats(spoken: Sequence[Sequence[Sentence]]) -> Iterator[Remark]:
    """Turns and long sentences that come a second time; a repeated turn is not told sentence by sentence."""
    whole: dict[str, int] = {}
    said: dict[str, tuple[int, int]] = {}
    for number, parts in enumerate(spoken, start=1):
        keys = [" ".join(words) for _, words in parts]
        key = " ".join(filter(None, keys))
        if key and key in whole:
            yield Remark(Check.REPEATS, number, f"Says the same as turn {whole[key]}")
            continue
        whole[key] = number
        told = False
        for (sentence, words), same in zip(parts, keys, strict=True):
            if len(words) < LONG_SENTENCE:
                continue
            before = said.setdefault(same, place := (number, len(said)))
            if before != place and not told:
                told = True
                where = "twice" if before[0] == number else f"of turn {before[0]}"
                yield Remark(Check.REPEATS, number, f"Repeats a sentence {where}: {sentence.strip()[:60]}")


def _personal(text: str) -> Iterator[str]:
    if "@" in text and _EMAIL.search(text):
        yield "an email address"
    if any(_iban(found.group()) for found in _IBAN.finditer(text)):
        yield "a bank account number"
    if not _FIVE_DIGITS.search(text):
        return
    if any(_luhn(found.group()) for found in _CARD.finditer(text)):
        yield "a card number"
    if _SSN.search(text):
        yield "a social security number"
    if _PHONE.search(text):
        yield "a phone number"


def _luhn(text: str) -> bool:
    digits = [int(character) for character in text if character.isdigit()]
    if len(set(digits)) == 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _iban(text: str) -> bool:
    # Words behind it in capitals may be taken along: any of the lengths that IBANs have may fit.
    whole = text.replace(" ", "")
    for length in range(min(34, len(whole)), 14, -1):
        moved = whole[4:length] + whole[:4]
        if int("".join(str(int(character, 36)) for character in moved)) % 97 == 1:
            return True
    return False
