"""Plain search over the files on disk, and reading some lines of one of them.

Patterns are matched by RE2 (in pyarrow), whose time grows with the text alone: `(a+)+$` takes no longer than `a`. The
price is that there is no look-around and no back-reference. R. Cox, "Regular Expression Matching in the Wild", 2010.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.cancel import CancelToken
from core.code_index import plain
from core.code_index.decoding import decode, lines_of
from core.code_index.records import LeftOut
from core.errors import AppError, Where

LONGEST_PATTERN = 1_000
LONGEST_LINE = 10_000
# Of a long line so much is given back, from a little before what was found.
SHOWN, SHOWN_BEFORE = 500, 100
MOST_CONTEXT = 20
_FIRST_BATCH, _LARGEST_BATCH, _BATCH_S = 100_000, 4_000_000, 0.1
# What stands beside a whole word: ASCII and the usual punctuation; Unicode's own classes take long to set up.
_NOT_WORD = r"[\x00-/:-@\[-\^\x60{-\x{bf}\x{2000}-\x{206f}\x{3000}-\x{303f}\x{ff00}-\x{ff0f}]"


class Named(Protocol):
    """What is known of a file to search: a `FoundFile`, or a row of the index."""

    @property
    def path(self) -> str:
        """Below the root, with "/"."""

    @property
    def language(self) -> str:
        """Its language's name."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that matches: `number` from 1, `column` from 0 and `length` of the first match in `text`.

    `cut` says that `text` is a part of a very long line. `before` and `after` are the lines around it.
    """

    path: str
    number: int
    text: str
    column: int
    length: int
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    cut: bool = False


@dataclass(frozen=True)
class Grepped:
    """What a search found, in order of the files; searched + unread + not reached = the files that were asked for.

    `notice` says why there may be more ("" where everything was searched).
    """

    lines: Sequence[Line]
    searched: int
    unread: Sequence[LeftOut] = ()
    not_reached: int = 0
    notice: str = ""

    @property
    def complete(self) -> bool:
        """Whether every line of every file was looked at."""
        return not self.notice


def grep(
    root: Path,
    files: Iterable[Named],
    pattern: str,
    *,
    regex: bool = False,
    ignore_case: bool = False,
    whole_word: bool = False,
    languages: Sequence[str] = (),
    paths: Sequence[str] = (),
    limit: int = 200,
    context: int = 0,
    token: CancelToken | None = None,
    seconds: float = 10.0,
) -> Grepped:
    """Lines that hold `pattern`, at most `limit`; `paths` are folders or files, "" all; lines end at "\\n".

    It gives up after about `seconds` and says so. Raises AppError `bad_pattern` with the place, Cancelled.
    """
    matcher = _Matcher(pattern, regex=regex, ignore_case=ignore_case, whole_word=whole_word)
    wanted = [f for f in files if (not languages or f.language in languages) and below(f.path, paths)]
    run = _Run(root, matcher, limit, min(max(context, 0), MOST_CONTEXT), token or CancelToken(), seconds)
    return run.over(wanted)


def below(path: str, prefixes: Sequence[str]) -> bool:
    """Whether a path is one of these files or stands in one of these folders; no prefixes means everything."""
    return not prefixes or any(
        path == p or path.startswith(f"{p}/") or not p for p in (q.rstrip("/") for q in prefixes)
    )


def read_lines(root: Path, path: str, start: int, end: int) -> list[str]:
    """Lines `start` to `end` (from 1, inclusive) of a file below `root`, fewer where it is shorter.

    Raises AppError `no_such_lines` where the path leads out of the project, is a link, or can't be read.
    """
    try:
        text = decode(plain.read_file(root, path))
    except plain.Unread as exc:
        raise AppError(
            "no_such_lines",
            f"The file can't be read: {exc.detail}.",
            hint="Update the index of the project; the file may have moved.",
            where=Where(path),
        ) from exc
    return lines_of(text)[max(start, 1) - 1 : max(end, 0)]


class _Matcher:
    """A pattern in the form RE2 takes."""

    def __init__(self, pattern: str, *, regex: bool, ignore_case: bool, whole_word: bool) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        self._pa, self._pc = pa, pc
        _refuse(pattern)
        inner = f"(?:{pattern})" if regex else re.escape(pattern)
        flag = "(?i)" if ignore_case else ""
        self._inner = flag + inner
        self._whole = f"{flag}(?:^|{_NOT_WORD})(?:{inner})(?:$|{_NOT_WORD})" if whole_word else self._inner
        self._by_word = whole_word
        # What means another thing in a whole text than in a line of it.
        self._as_text = not (regex and re.search(r"\\[Az]|\(\?[^:)]*-", pattern))
        try:
            # Alone too, lest a stray bracket be balanced by those around it.
            self._matches([""], pattern if regex else inner)
            self._matches([""], self._whole)
        except pa.ArrowInvalid as exc:
            raise _bad(pattern, str(exc)) from exc

    def _array(self, texts: Sequence[str]) -> Any:
        return self._pa.array(texts, type=self._pa.large_string())

    def _matches(self, texts: Sequence[str], pattern: str) -> list[int]:
        matched = self._pc.match_substring_regex(self._array(texts), pattern=pattern)
        return [int(index) for index in self._pc.indices_nonzero(matched).to_pylist()]

    def which(self, lines: Sequence[str]) -> list[int]:
        """Indexes of the lines that match."""
        return self._matches(lines, self._whole)

    def candidates(self, texts: Sequence[str]) -> list[int]:
        """Indexes of the texts in which a line may match."""
        return self._matches(texts, f"(?m){self._inner}") if self._as_text else list(range(len(texts)))

    def where(self, lines: Sequence[str]) -> list[tuple[int, int]]:
        """(column, length) of the first match in each of the lines that match, in characters."""
        skipped = [0] * len(lines)
        if self._by_word:
            starts = self._pc.find_substring_regex(self._array(lines), pattern=self._whole).to_pylist()
            skipped = [len(line.encode()[:at].decode()) for line, at in zip(lines, starts, strict=True)]
        rests = [line[skip:] for line, skip in zip(lines, skipped, strict=True)]
        split = self._pc.split_pattern_regex(self._array(rests), pattern=self._inner, max_splits=1).to_pylist()
        return [
            (skip + len(parts[0]), len(rest) - len(parts[0]) - len(parts[1])) if len(parts) == 2 else (skip, 0)
            for skip, rest, parts in zip(skipped, rests, split, strict=True)
        ]


def _refuse(pattern: str) -> None:
    if not pattern:
        raise AppError("bad_pattern", "There is nothing to search for.", hint="Write what to search for.")
    if len(pattern) > LONGEST_PATTERN:
        raise AppError("bad_pattern", f"The pattern has more than {LONGEST_PATTERN:,} characters.", hint="Shorten it.")
    if "\n" in pattern:
        raise AppError("bad_pattern", "The pattern has more than one line.", hint="Search for one of its lines.")
    if any("\ud800" <= char <= "\udfff" for char in pattern):
        raise AppError("bad_pattern", "The pattern holds a character that is none.", hint="Write it again.")


def _bad(pattern: str, said: str) -> AppError:
    """What is wrong with a regular expression and where: from `re`, which gives the place; else from RE2."""
    _, _, said = said.partition(": ")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        at = getattr(exc, "pos", None)
        why = getattr(exc, "msg", said)
    else:
        why, _, piece = said.partition(": ")
        found = pattern.find(piece) if piece else -1
        at = found if found >= 0 else None
    place = f"character {at + 1}" if at is not None else ""
    return AppError(
        "bad_pattern",
        f"The regular expression can't be used{f' ({place})' if place else ''}: {why}.",
        hint="Correct it, or search for it as plain text. Look-around and back-references are not available.",
        detail=said,
        where=Where(field=place),
    )


class _Run:
    """One search: texts are gathered into batches, whose size follows from how long the last one took."""

    def __init__(
        self, root: Path, matcher: _Matcher, limit: int, context: int, token: CancelToken, seconds: float
    ) -> None:
        self._root, self._matcher, self._limit, self._context, self._token = root, matcher, limit, context, token
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._size = _FIRST_BATCH
        self._lines: list[Line] = []
        self._unread: list[LeftOut] = []
        self._shortened = 0
        self._notice = ""

    def over(self, files: Sequence[Named]) -> Grepped:
        """Search these files."""
        searched = waiting = 0
        batch: list[tuple[str, str]] = []
        for number, file in enumerate(files, start=1):
            self._token.raise_if_cancelled()
            try:
                text = decode(plain.read_file(self._root, file.path))
            except plain.Unread as exc:
                self._unread.append(LeftOut(file.path, exc.reason, exc.detail))
            else:
                batch.append((file.path, text.replace("\r\n", "\n") if "\r" in text else text))
                waiting += len(text)
            if waiting >= self._size or number == len(files):
                searched += self._search(batch)
                batch, waiting = [], 0
                if self._notice:
                    break
        if not self._notice and self._shortened:
            self._notice = f"{self._shortened:,} long lines were searched in their first {LONGEST_LINE:,} characters."
        return Grepped(self._lines, searched, self._unread, len(files) - searched - len(self._unread), self._notice)

    def _search(self, batch: Sequence[tuple[str, str]]) -> int:
        """Search a batch; the number of its files that were searched to their end."""
        # A text far over the size that can be matched in time is taken by its lines at once.
        small = [index for index, (_, text) in enumerate(batch) if len(text) <= 4 * self._size]
        worth = set(range(len(batch))) - set(small)
        if small and self._in_time():
            began = time.monotonic()
            worth |= {small[i] for i in self._matcher.candidates([batch[index][1] for index in small])}
            self._pace(began, sum(len(batch[index][1]) for index in small))
        for index, (path, text) in enumerate(batch):
            if self._notice or (index in worth and not self._file(path, lines_of(text))):
                return index
        return len(batch)

    def _file(self, path: str, lines: Sequence[str]) -> bool:
        """Search a file's lines; whether it was searched to its end."""
        for start, stop, size in self._pieces(lines):
            if not self._in_time():
                return False
            began = time.monotonic()
            hits = [start + at for at in self._matcher.which([line[:LONGEST_LINE] for line in lines[start:stop]])]
            self._pace(began, size)
            room = self._limit - len(self._lines)
            places = self._matcher.where([lines[at][:LONGEST_LINE] for at in hits[:room]]) if hits else []
            self._lines += [self._line(path, lines, at, *place) for at, place in zip(hits, places, strict=False)]
            if len(hits) > room:
                self._notice = f"There are more than {self._limit:,} lines; these are the first."
                return False
        return True

    def _in_time(self) -> bool:
        self._token.raise_if_cancelled()
        if time.monotonic() > self._end:
            self._notice = f"The search took more than {self._seconds:g} s and was ended."
        return not self._notice

    def _pace(self, began: float, size: int) -> None:
        """Set how much is matched at once, so that a step takes a tenth of a second at most."""
        possible = size * _BATCH_S / max(time.monotonic() - began, 1e-6)
        if possible < self._size or size > self._size // 2:
            self._size = int(min(max(possible, LONGEST_LINE), 2 * self._size, _LARGEST_BATCH))

    def _pieces(self, lines: Sequence[str]) -> Iterator[tuple[int, int, int]]:
        """(first, end, characters) of stretches that are short enough for one step."""
        start = size = 0
        for number, line in enumerate(lines, start=1):
            self._shortened += len(line) > LONGEST_LINE
            size += min(len(line), LONGEST_LINE)
            if size >= self._size or number == len(lines):
                yield start, number, size
                start, size = number, 0

    def _line(self, path: str, lines: Sequence[str], index: int, column: int, length: int) -> Line:
        whole = lines[index]
        first = max(column - SHOWN_BEFORE, 0) if len(whole) > SHOWN else 0
        text = whole[first : first + SHOWN]
        around = self._context
        return Line(
            path, index + 1, text, column - first, min(length, len(text) - (column - first)),
            [line[:SHOWN] for line in lines[max(index - around, 0) : index]],
            [line[:SHOWN] for line in lines[index + 1 : index + 1 + around]],
            len(text) < len(whole),
        )  # fmt: skip
