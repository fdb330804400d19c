"""Secrets in the system's keychain, through `keyring`; never in a file, a spec, an argument or a log.

Where nothing is stored, `ANTHROPIC_API_KEY` and `ANTHROPIC_BASE_URL` of the environment are used and never written.
Blocking: a keychain may ask the user; call it off the GUI thread.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from core.errors import AppError

SERVICE = "Bright Run"
ANTHROPIC_KEY = "anthropic_api_key"
ANTHROPIC_URL = "anthropic_base_url"
DEFAULT_URL = "https://api.anthropic.com"
HUB_TOKEN, HUB_VARIABLE = "hugging_face_token", "HF_TOKEN"
KEY_VARIABLE, URL_VARIABLE = "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"
# Back ends of keyring that keep passwords in a file, or nowhere.
_NO_KEYCHAIN = ("keyring.backends.fail", "keyring.backends.null", "keyring.backends.chainer", "keyrings.")


@dataclass(frozen=True)
class Credentials:
    """What a client is made with. `source` is keychain or environment; the key never shows in a repr."""

    api_key: str = field(repr=False)
    base_url: str
    source: str


def backend() -> Any | None:
    """The system's keychain, None where there is none (a bare Linux)."""
    import keyring

    found = keyring.get_keyring()
    kinds = [found, *getattr(found, "backends", ())]
    usable = [
        kind for kind in kinds if not type(kind).__module__.startswith((*_NO_KEYCHAIN, "keyring.backends.chainer"))
    ]
    return found if usable else None


def no_keychain() -> AppError:
    """The error of a machine without a keychain."""
    return AppError(
        "no_keychain",
        "This computer has no keychain that Bright Run can use, and keys are never kept in a file.",
        hint=f"Set the environment variable {KEY_VARIABLE} before Bright Run starts, or install a keychain service "
        "(on Linux: GNOME Keyring or KWallet).",
        action="page:settings",
    )


def _failed(exc: Exception) -> AppError:
    return AppError(
        "keychain_refused",
        "The keychain did not answer, or access to it was refused.",
        hint=f"Unlock the keychain and allow Bright Run to use it, or set the environment variable {KEY_VARIABLE}.",
        detail=type(exc).__name__,
        action="page:settings",
    )


def get(name: str) -> str | None:
    """The stored secret, None if there is none. Raises AppError `no_keychain` or `keychain_refused`."""
    found = _require()
    try:
        value: str | None = found.get_password(SERVICE, name)
    except Exception as exc:
        raise _failed(exc) from exc
    return value or None


def put(name: str, value: str) -> None:
    """Store a secret. Raises AppError `no_keychain`, `keychain_refused` or `empty_secret`."""
    if not value.strip():
        raise AppError("empty_secret", "There is nothing to store.", hint="Paste the key first.")
    found = _require()
    try:
        found.set_password(SERVICE, name, value.strip())
    except Exception as exc:
        raise _failed(exc) from exc


def delete(name: str) -> None:
    """Remove a secret; harmless when there is none. Raises AppError `no_keychain` or `keychain_refused`."""
    found = _require()
    try:
        if found.get_password(SERVICE, name) is not None:
            found.delete_password(SERVICE, name)
    except Exception as exc:
        raise _failed(exc) from exc


def _require() -> Any:
    found = backend()
    if found is None:
        raise no_keychain()
    return found


def anthropic_credentials() -> Credentials:
    """The key for Claude and where its service is. Raises AppError `no_key`, `no_keychain` or `keychain_refused`.

    A stored key goes with the stored address alone, so that the environment can't send it elsewhere.
    """
    trouble: AppError | None = None
    try:
        if key := get(ANTHROPIC_KEY):
            return Credentials(key, get(ANTHROPIC_URL) or DEFAULT_URL, "keychain")
    except AppError as error:
        trouble = error
    if key := os.environ.get(KEY_VARIABLE, "").strip():
        return Credentials(key, os.environ.get(URL_VARIABLE, "").strip() or DEFAULT_URL, "environment")
    if trouble is not None:
        raise trouble
    raise AppError(
        "no_key",
        "There is no API key for Claude.",
        hint=f"Add one in Settings, or set the environment variable {KEY_VARIABLE}.",
        action="page:settings",
    )


def store_anthropic(api_key: str, base_url: str = "") -> None:
    """Keep the key, and the address if it is not the usual one. Raises as `put`."""
    put(ANTHROPIC_KEY, api_key)
    if base_url.strip() and base_url.strip() != DEFAULT_URL:
        put(ANTHROPIC_URL, base_url)
    else:
        delete(ANTHROPIC_URL)


def delete_anthropic() -> None:
    """Forget key and address. Raises as `delete`."""
    delete(ANTHROPIC_KEY)
    delete(ANTHROPIC_URL)


def hub_token(address: str, usual: str) -> str | None:
    """The access token for a hub: the stored one for the usual address alone, else that of the environment, or none.

    A keychain that is missing or locked is no reason to fail: what is public needs no token.
    """
    if address == usual:
        try:
            if token := get(HUB_TOKEN):
                return token
        except AppError:
            pass
    return os.environ.get(HUB_VARIABLE, "").strip() or None
