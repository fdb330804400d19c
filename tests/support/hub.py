"""The environment in which this program and its workers find a local hub, and no keychain."""

from __future__ import annotations

import pytest

from tests.contract.hub_server import HubServer


def use_hub(monkeypatch: pytest.MonkeyPatch, server: HubServer) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    # Workers must not ask the keychain of this machine.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
