"""Records of a 100 MB file, and texts in odd encodings: core/reading beside the libraries (docs/decisions/0008)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from charset_normalizer import from_bytes

from core.reading.encoding import detect, utf8_blocks
from core.reading.records import Broken, Record, layout, records
from core.sample import sample_files

MEGABYTES = int(os.environ.get("BENCH_MEGABYTES", "100"))
TEXTS = {
    "cp1252": (
        "café", "naïve", "Größe", "It’s late", "I paid €500 for the résumé", "Señor Núñez quiere pagar la hipoteca",
        "Ça va être très difficile à gérer, n’est-ce pas ?", "Não consigo dormir à noite por causa da dívida",
        "Hän ei löydä rahaa lääkäriin", "smörgåsbord på tåget", "50 – 60 % of it", "£5,000 a year", "25 °C outside",
    ),
    "cp1250": ("Zażółć gęślą jaźń", "Proszę o pomoc z kredytem, źle śpię", "Příliš žluťoučký kůň úpěl ďábelské ódy"),
    "cp1251": ("Я хочу закрыть ипотеку раньше срока", "Привет, как дела? Мне страшно."),
    "koi8_r": ("Привет, как дела? Я хочу закрыть ипотеку раньше",),
    "cp1253": ("Θέλω να κλείσω το δάνειο",),
    "cp932": ("住宅ローンを早く返したいのですが", "お金が心配です"),
    "gb18030": ("我想早点还清房贷，但是很担心",),
    "utf-16": ("Größe",),
    "utf-16-be": ("Größe",),
    "utf-32-le": ("Größe",),
}  # fmt: skip


def write_array(path: Path, size: int) -> int:
    """An indented array of sample conversations of at least `size` bytes; returns how many."""
    talk = json.loads(sample_files()[0].read_bytes())
    count = written = 0
    with path.open("wb") as out:
        while written < size:
            part = orjson.dumps({**talk, "title": f"Number {count}"}, option=orjson.OPT_INDENT_2)
            written += out.write((b"," if count else b"[") + part)
            count += 1
        out.write(b"]")
    return count


def _own(path: Path) -> int:
    found = detect(path)
    return sum(isinstance(read, Record) for read in records(path, found, layout(path, found)))


def _ijson(path: Path) -> int:
    import ijson

    with path.open("rb") as handle:
        return sum(1 for _ in ijson.items(handle, "item", use_float=True))


def _orjson(path: Path) -> int:
    return len(orjson.loads(path.read_bytes()))


READERS: dict[str, Callable[[Path], int]] = {"core/reading": _own, "ijson": _ijson, "orjson, whole file": _orjson}


def one_reader(name: str, path: Path) -> None:
    """In a process of its own: CPU seconds and the highest resident memory."""
    import resource

    begun = time.process_time()
    count = READERS[name](path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps([count, time.process_time() - begun, peak]))


def measured(name: str, path: Path) -> str:
    code = "import sys, pathlib, benchmarks.reading as b; b.one_reader(sys.argv[1], pathlib.Path(sys.argv[2]))"
    done = subprocess.run([sys.executable, "-c", code, name, str(path)], check=True, capture_output=True, text=True)
    count, seconds, peak = json.loads(done.stdout)
    return f"{count:,} records, {seconds:.1f} s, {peak / 1e6:.0f} MB"


def damaged(path: Path) -> dict[str, str]:
    """What is left of ten records when the sixth lacks a comma, and what is said of its place."""
    import ijson

    data = json.dumps([{"turns": [], "id": number} for number in range(10)], indent=1)
    path.write_text(data.replace('[],\n  "id": 5', '[]\n  "id": 5'))
    found = detect(path)
    own = list(records(path, found, layout(path, found)))
    (broken,) = [read for read in own if isinstance(read, Broken)]
    count, said = 0, ""
    try:
        with path.open("rb") as handle:
            for _ in ijson.items(handle, "item"):
                count += 1
    except ijson.JSONError as error:
        said = " ".join(str(error).split())[:60]
    return {
        "one of ten records damaged, core/reading": f"{len(own) - 1} read; {broken.error.message}",
        "one of ten records damaged, ijson": f"{count} read; {said}",
    }


def encodings(folder: Path) -> dict[str, str]:
    """How many texts come out as they went in."""
    out = {}
    for codec, texts in TEXTS.items():
        own = library = 0
        for text in texts:
            document = json.dumps({"title": text, "note": "Everyone tells me something else."}, ensure_ascii=False)
            path = folder / "odd.json"
            path.write_bytes(document.encode(codec))
            own += b"".join(utf8_blocks(path, detect(path))).decode() == document
            library += str(from_bytes(path.read_bytes()).best()) == document
        out[f"{codec}: core/reading, charset-normalizer alone"] = f"{own} and {library} of {len(texts)}"
    return out


def run(folder: Path) -> dict[str, Any]:
    path = folder / "big.json"
    write_array(path, MEGABYTES * 1_000_000)
    out: dict[str, Any] = {f"{MEGABYTES} MB, {name}": measured(name, path) for name in READERS}
    return out | damaged(folder / "damaged.json") | encodings(folder)
