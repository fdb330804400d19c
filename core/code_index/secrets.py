"""Which files hold a secret, by name and by content; such a file is not indexed, and the secret is never repeated.

A name such as `password` is no secret, nor is a placeholder: a key is known by its maker's form, or by being long,
random, and assigned to something that is called a key.
"""

from __future__ import annotations

import bisect
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_NAMES = re.compile(
    r"^(?:\.env|\.env\..+|.+\.env|\.envrc|id_(?:rsa|dsa|ecdsa|ed25519|ecdsa_sk|ed25519_sk)|[._]netrc|\.pgpass|\.htpasswd"
    r"|\.git-credentials|\.dockercfg|\.pypirc|.+\.(?:p12|pfx|jks|keystore|kdbx|ppk|tfstate|tfstate\.backup|ovpn))$",
    re.IGNORECASE,
)
_EXAMPLES = re.compile(
    r"(?:^|[._-])(?:example|sample|template|tmpl|dist|defaults?|schema|d\.ts)(?:[._-]|$)", re.IGNORECASE
)
_PATHS = ("config/master.key", ".aws/credentials", ".docker/config.json", ".kube/config", ".ssh/config")

_PLACEHOLDER = re.compile(
    r"example|sample|dummy|fake|placeholder|change.?me|your|replace|insert|redacted|secret.?key|x{4}|\*{3}|\.{3}|0{6}|1{6}"
    r"|12345678|abcdef|qwerty|deadbeef|test.?(?:key|token|secret)|lorem|foobar",
    re.IGNORECASE,
)
_WORD = r"(?:(?:api|access|auth|private|account)[_-]?key|secret|token|passw(?:or)?d|passphrase|credential)"
_ASSIGNED = (
    rf"(?i:{_WORD})[A-Za-z0-9_-]*[\"'`\])]*[ \t]*(?:=>|:=|=|:)[ \t]*[bBrRfFuU]?[\"'`]?[A-Za-z0-9+/=_.~!@#%^&*-]{{20}}"
)


@dataclass(frozen=True)
class Rule:
    """A kind of secret: its name, how it is written (syntax that RE2 and `re` share), bits a character at least."""

    title: str
    pattern: str
    least_entropy: float = 3.0


_KEY_BLOCK = "private key"
_VALUE = "value of a key"
RULES = (
    Rule(_KEY_BLOCK, r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----"),
    Rule("AWS access key", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    Rule("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60})"),
    Rule("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20}"),
    Rule("Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{20}"),
    Rule("Slack webhook", r"hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,40}"),
    Rule("Google key", r"\b(?:AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28})"),
    Rule("Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{20}"),
    Rule("Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{24}"),
    Rule("OpenAI key", r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_]{20}[A-Za-z0-9_-]{12}", 3.5),
    Rule("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,40}\b"),
    Rule("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    Rule("PyPI token", r"\bpypi-AgE[A-Za-z0-9_-]{50}"),
    Rule("SendGrid key", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    Rule("DigitalOcean token", r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    Rule("Azure key", r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{43,86}="),
    Rule(_VALUE, _ASSIGNED),
)
_ANY = "|".join(f"(?:{rule.pattern})" for rule in RULES)
_COMPILED = [(rule, re.compile(rule.pattern.encode())) for rule in RULES]
_BODY = re.compile(rb"[A-Za-z0-9+/=]{40,}")
_ASSIGNMENT = re.compile(rb"(?:=>|:=|=|:)[ \t]*[bBrRfFuU]?([\"'`]?)([A-Za-z0-9+/=_.~!@#%^&*-]{20,200})(.?)", re.DOTALL)
# Without quotes only where the line holds nothing else, as in settings.
_ALONE = re.compile(rb"\s*(?:export\s+|set\s+|-\s+)?[\w.\-]*")
_WORDS = re.compile(r"[A-Z]?[a-z]{3,}")
_LINES_AT_ONCE = 6
_HEX = re.compile(r"[0-9a-fA-F]+")


def by_name(path: str) -> str:
    """What makes a file of this name a secret ("" where nothing does); examples of such files are none."""
    name = path.rpartition("/")[2]
    if any(path == known or path.endswith("/" + known) for known in _PATHS):
        return name
    return name if _NAMES.match(name) and not _EXAMPLES.search(name) else ""


def found_in(contents: Sequence[bytes]) -> dict[int, str]:
    """Which of these contents hold a secret, and the first of each: {3: "line 12: AWS access key"}.

    RE2 finds in linear time which contents, then which of their lines have the form of one; both at once for all,
    since it takes longer to set up than to look through a file.
    """
    lines: list[bytes] = []
    starts: list[tuple[int, int]] = []
    for index in _of_that_form(contents):
        starts.append((len(lines), index))
        lines += contents[index].split(b"\n")
    found: dict[int, str] = {}
    for at in _of_that_form(lines) if lines else ():
        place = bisect.bisect_right(starts, (at, len(contents))) - 1
        start, index = starts[place]
        end = starts[place + 1][0] if place + 1 < len(starts) else len(lines)
        if index not in found and (title := _in_lines(lines[at : min(at + _LINES_AT_ONCE, end)])):
            found[index] = f"line {at - start + 1}: {title}"
    return found


def by_content(data: bytes) -> str:
    """The first secret in a file: "line 12: AWS access key"; "" where there is none."""
    return found_in([data]).get(0, "")


def _of_that_form(contents: Sequence[bytes]) -> list[int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    matched = pc.match_substring_regex(pa.array(contents, type=pa.large_binary()), pattern=_ANY)
    return [int(index) for index in pc.indices_nonzero(matched).to_pylist()]


def _in_lines(lines: Sequence[bytes]) -> str:
    """The secret that begins in the first of these lines."""
    line, *others = lines
    for rule, pattern in _COMPILED:
        for match in pattern.finditer(line):
            if rule.title == _KEY_BLOCK:
                after = line[match.end() :] + b"\n" + b"\n".join(others)
                # Code that looks for such blocks names the first line alone.
                secret = any(_random(body.group().decode("ascii"), 3.5) for body in _BODY.finditer(after[:1000]))
            elif rule.title == _VALUE:
                secret = _assigned(match, line)
            else:
                secret = _random(match.group().decode("latin-1"), rule.least_entropy)
            if secret:
                return rule.title
    return ""


def _assigned(match: re.Match[bytes], line: bytes) -> bool:
    found = _ASSIGNMENT.search(line, match.start())
    if found is None:
        return False
    quote, value, after = found.group(1), found.group(2).decode("ascii"), found.group(3)
    if quote:
        whole = after == quote
    else:
        whole = after in b"\r" and "." not in value and _ALONE.fullmatch(line[: match.start()]) is not None
    if not whole or re.match(r"[A-Za-z]+:/|[./~@%]", value):
        return False
    if _HEX.fullmatch(value):
        return len(value) >= 32 and _random(value, 3.0)
    # Names and paths are made of words; what is random hardly has any.
    worded = sum(len(word) for word in _WORDS.findall(value)) > 0.5 * len(value)
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and not worded and _random(value, 3.8)


def _random(value: str, least: float) -> bool:
    """Whether a value has at least so many bits a character, and is no placeholder."""
    return not _PLACEHOLDER.search(value) and entropy(value) >= least


def entropy(value: str) -> float:
    """Shannon's entropy of the characters, in bits a character."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values()) if total else 0.0
