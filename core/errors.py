"""Expected errors, worded for the user, that cross processes as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from core.redact import redact


@dataclass(frozen=True)
class Where:
    """The place an error refers to; empty parts are left out when it is shown."""

    file: str = ""
    line: int = 0
    field: str = ""

    def __str__(self) -> str:
        parts = [self.file, f"line {self.line}" if self.line else "", self.field]
        return ", ".join(part for part in parts if part)


class AppError(Exception):
    """Expected failure with a message written for the user.

    `code` is stable and for programs; `hint` says what to do next; `detail` is for the log and the
    copy button; `action` names the command that fixes it ("page:scaffolding"), empty if there is none.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        detail: str = "",
        where: Where | None = None,
        action: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.detail = redact(detail)
        self.where = where or Where()
        self.action = action

    def to_json(self) -> dict[str, Any]:
        """The form in which the error crosses a process or is stored in the database; keys are taken out."""
        return {
            "code": self.code,
            "message": redact(self.message),
            "hint": self.hint,
            "detail": redact(self.detail),
            "where": asdict(self.where),
            "action": self.action,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AppError:
        """The reverse of `to_json`; missing keys read as empty."""
        where = data.get("where") or {}
        return cls(
            str(data.get("code", "unknown")),
            str(data.get("message", "")),
            hint=str(data.get("hint", "")),
            detail=str(data.get("detail", "")),
            where=Where(str(where.get("file", "")), int(where.get("line", 0)), str(where.get("field", ""))),
            action=str(data.get("action", "")),
        )

    def __str__(self) -> str:
        place = str(self.where)
        return f"{place}: {self.message}" if place else self.message


class Cancelled(Exception):  # noqa: N818 - not an error: the user stopped the work
    """The user stopped the work. Never shown as an error."""


def bug_report(exc: BaseException, detail: str = "") -> AppError:
    """An unexpected exception in the shape of an `AppError`, for reports that cross a process."""
    return AppError(
        "internal_error",
        f"Bright Run encountered an internal error ({type(exc).__name__}).",
        hint="Your data is safe. Start the step again; if it fails again, send the copied details to support.",
        detail=redact(detail or repr(exc)),
    )
