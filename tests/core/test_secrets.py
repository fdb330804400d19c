"""Keys: in the keychain or the environment, never in a file, a log or an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from app.logs import FORMAT, Logs
from core.errors import AppError, bug_report
from core.redact import RedactingFormatter, redact
from core.workspace import secrets

SECRET = "sk-ant-api03-AbCdEf_0123-xyz"


class MemoryKeyring(KeyringBackend):
    """A keychain of this process."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[(service, username)] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[(service, username)]


@pytest.fixture(autouse=True)
def keychain(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryKeyring]:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    before, made = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_a_key_is_stored_used_and_forgotten(keychain: MemoryKeyring) -> None:
    with pytest.raises(AppError) as caught:
        secrets.anthropic_credentials()
    assert caught.value.code == "no_key"
    secrets.store_anthropic(f" {SECRET}\n")
    found = secrets.anthropic_credentials()
    assert (found.api_key, found.base_url, found.source) == (SECRET, secrets.DEFAULT_URL, "keychain")
    assert SECRET not in repr(found)
    secrets.delete_anthropic()
    secrets.delete_anthropic()
    assert keychain.kept == {}


def test_the_environment_counts_where_nothing_is_stored_and_is_not_written(
    keychain: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-env")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    found = secrets.anthropic_credentials()
    assert (found.api_key, found.base_url, found.source) == ("sk-ant-env", "http://127.0.0.1:9", "environment")
    assert keychain.kept == {}
    secrets.store_anthropic(SECRET)
    assert secrets.anthropic_credentials().base_url == secrets.DEFAULT_URL
    secrets.store_anthropic(SECRET, "https://gateway.example")
    assert secrets.anthropic_credentials().base_url == "https://gateway.example"
    keychain.locked = True
    assert secrets.anthropic_credentials().api_key == "sk-ant-env"
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(AppError) as caught:
        secrets.anthropic_credentials()
    assert caught.value.code == "keychain_refused"


def test_without_a_keychain_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring.set_keyring(NoKeyring())
    with pytest.raises(AppError) as caught:
        secrets.store_anthropic(SECRET)
    assert caught.value.code == "no_keychain"
    assert "ANTHROPIC_API_KEY" in caught.value.hint
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-env")
    assert secrets.anthropic_credentials().source == "environment"


def test_a_keychain_in_a_file_is_none() -> None:
    class FileKeyring(MemoryKeyring):
        priority = 1  # type: ignore[assignment]

    FileKeyring.__module__ = "keyrings.alt.file"
    keyring.set_keyring(FileKeyring())
    with pytest.raises(AppError) as caught:
        secrets.put("name", SECRET)
    assert caught.value.code == "no_keychain"


HIDES = [
    f"Authorization: Bearer {SECRET}", "authorization: bearer abcdef123456", "{'Authorization': 'Bearer abcdef123456'}",
    "[(b'Authorization', b'Bearer abcdef123456')]", "x-api-key: abcdef123456", '{"x-api-key": "abcdef123456"}',
    f"ANTHROPIC_API_KEY={SECRET}", f"key {SECRET}, and so on", "(b'x-api-key', b'abcdef123456')",
    "Proxy-Authorization: Basic abcdef123456==",
]  # fmt: skip


@pytest.mark.parametrize("text", HIDES)
def test_keys_are_taken_out(text: str) -> None:
    assert "abcdef123456" not in redact(text)
    assert SECRET not in redact(text)
    assert "[hidden]" in redact(text)
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("text", ["The bearer of good news", "authorization: none", "x = 1", "Token count: 12,345"])
def test_other_words_stay(text: str) -> None:
    assert redact(text) == text


def test_logs_errors_and_reports_are_without_keys(tmp_path: Path) -> None:
    logs = Logs()
    logs.install()
    logs.open_file(tmp_path)
    try:
        try:
            raise ValueError(f"sent with Authorization: Bearer {SECRET}")
        except ValueError as exc:
            logging.getLogger("x").exception("it failed with %s", SECRET)
            report = bug_report(exc)
    finally:
        logs.remove()
    assert SECRET not in (tmp_path / "brightrun.log").read_text()
    assert SECRET not in str(logs.ring.snapshot())
    assert SECRET not in report.detail
    error = AppError("x", "y", detail=f"Bearer {SECRET}")
    assert SECRET not in error.detail
    error.detail = f"Bearer {SECRET}"
    assert SECRET not in str(error.to_json())
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s", (f"Bearer {SECRET}",), None)
    assert SECRET not in RedactingFormatter(FORMAT).format(record)
