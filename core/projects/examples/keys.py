"""Text that looks like a key, more strictly than the scan of files: an example more or less costs nothing."""

from __future__ import annotations

import re

from core.code_index.secrets import RULES, entropy

_KNOWN = re.compile("|".join(f"(?:{rule.pattern})" for rule in RULES))
# Quoted, long, of letters and digits mixed: a hash of a test is left out as well.
_LONG = re.compile(r"[\"'`=:\s]([A-Za-z0-9+/_=-]{24,})(?=[\"'`\s,;)]|$)")
_URL_LOGIN = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@\"'{}<>$]+:[^\s/@\"'{}<>$]{3,}@")
_HEX = re.compile(r"[0-9a-fA-F]+")
LEAST_BITS, LEAST_HEX_BITS, LEAST_HEX = 3.6, 3.0, 32


def key_in(text: str) -> bool:
    """Whether any of it has the form of a key, a login in an address, or a long random value."""
    if _KNOWN.search(text) or _URL_LOGIN.search(text):
        return True
    return any(_random(match[1]) for match in _LONG.finditer(text))


def _random(value: str) -> bool:
    digits = sum(c.isdigit() for c in value)
    if _HEX.fullmatch(value):
        return len(value) >= LEAST_HEX and 0 < digits < len(value) and entropy(value) >= LEAST_HEX_BITS
    mixed = digits >= 2 and any(c.islower() for c in value) and any(c.isupper() for c in value)
    # Paths and dotted or joined names are made of short words.
    worded = max((len(part) for part in re.split(r"[/_\-=+]", value)), default=0) < 16
    return mixed and not worded and entropy(value) >= LEAST_BITS
