"""What goes wrong with Ollama, in the user's words, each with the next step."""

from __future__ import annotations

from core.errors import AppError


def absent() -> AppError:
    """There is no Ollama on this machine."""
    return AppError(
        "ollama_absent",
        "Ollama is not installed on this computer.",
        hint="Install it from ollama.com, or use base models from Hugging Face or a folder.",
    )


def did_not_start(detail: str) -> AppError:
    """It was started here, and is no server."""
    return AppError(
        "ollama_did_not_start", "Ollama was started and did not answer.",
        hint="Start it yourself (its app, or: ollama serve) and look at what it says.", detail=detail[-2000:],
    )  # fmt: skip


def stopped(address: str, detail: str) -> AppError:
    """Nobody answers."""
    return AppError(
        "ollama_stopped", f"Ollama does not run at {address}.",
        hint="Start it on the Adapters page, or correct its address in Settings.", detail=detail[:500],
        action="page:adapters",
    )  # fmt: skip


def hung(address: str, doing: str, detail: str) -> AppError:
    """It takes connections and does not answer."""
    return AppError(
        "ollama_hung", f"Ollama at {address} takes too long to {doing}.",
        hint="It may be busy with a model; wait, or quit it and start it again.", detail=detail[:500],
    )  # fmt: skip


def broke_off(doing: str, detail: str) -> AppError:
    """It went in the middle of an answer."""
    return AppError(
        "ollama_broke_off", f"Ollama ended the connection while it was to {doing}.",
        hint="Look whether it still runs, and start it again; what had come is kept.", detail=detail[:500],
    )  # fmt: skip


def other(address: str, detail: str) -> AppError:
    """Somebody else answers."""
    return AppError(
        "not_ollama", f"What answers at {address} is not Ollama.",
        hint="Check the address in Settings; another program may use its port.", detail=detail[:500],
    )  # fmt: skip


def passed_on(name: str, remote: str) -> AppError:
    """A model of Ollama's cloud: what it is asked would leave this machine."""
    return AppError(
        "remote_model", f"{name} does not run in Ollama here: every question would be sent on to {remote}.",
        hint="Use a model that lies in Ollama's store itself; pull one that runs on your own computer.",
    )  # fmt: skip


def refused(doing: str, said: str, status: int) -> AppError:
    """What it answered, with what to do where that is known."""
    text = said.strip() or f"status {status}"
    if "not found" in text or "file does not exist" in text:
        name = doing.rpartition(" ")[2] if " " in doing else ""
        return AppError(
            "no_such_model", f"Ollama has no model {name}: {text}." if name else f"Ollama has no such model: {text}.",
            hint="Check its name on ollama.com/library, with the tag behind a colon.", detail=text,
        )  # fmt: skip
    if "context" in text and ("exceed" in text or "longer than" in text):
        return AppError(
            "context_full", "The conversation is longer than the model reads.",
            hint="Start a new chat, or shorten the system prompt.", detail=text[:2000],
        )  # fmt: skip
    if "no space left" in text:
        return AppError(
            "disk_full", f"Ollama could not {doing}: its disk is full.",
            hint="Free some space and go on; what had come is kept.", detail=text,
        )  # fmt: skip
    if any(word in text for word in ("no such host", "dial tcp", "i/o timeout", "network is unreachable")):
        return AppError(
            "offline", f"Ollama could not {doing}: it does not reach its registry.",
            hint="Check the connection to the internet and go on; what had come is kept.", detail=text,
        )  # fmt: skip
    return AppError("ollama_failed", f"Ollama could not {doing}: {text[:300]}", hint="Try again.", detail=text[:2000])
