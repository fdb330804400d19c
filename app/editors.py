"""Opens a file at a line in the editor of choice. Programs are started with a list of arguments, never by a shell."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError, Where

SETTING = "editor"
SYSTEM, CUSTOM = "system", "custom"
FILE, LINE = "{file}", "{line}"


@dataclass(frozen=True)
class Editor:
    """One editor: its command on the PATH, or within its bundle on macOS; `arguments` hold `{file}` and `{line}`."""

    key: str
    name: str
    command: str
    arguments: tuple[str, ...]
    bundled: str = ""


_GOTO = ("--goto", f"{FILE}:{LINE}")
_PLUS = (f"{FILE}:{LINE}",)
_LINE = ("--line", LINE, FILE)
_CODE = "/Applications/{}.app/Contents/Resources/app/bin/{}"
EDITORS = (
    Editor("vscode", "Visual Studio Code", "code", _GOTO, _CODE.format("Visual Studio Code", "code")),
    Editor("cursor", "Cursor", "cursor", _GOTO, _CODE.format("Cursor", "cursor")),
    Editor("windsurf", "Windsurf", "windsurf", _GOTO, _CODE.format("Windsurf", "windsurf")),
    Editor("vscodium", "VSCodium", "codium", _GOTO, _CODE.format("VSCodium", "codium")),
    Editor("zed", "Zed", "zed", _PLUS, "/Applications/Zed.app/Contents/MacOS/cli"),
    Editor("sublime", "Sublime Text", "subl", _PLUS, "/Applications/Sublime Text.app/Contents/SharedSupport/bin/subl"),
    Editor("xcode", "Xcode", "xed", ("--line", LINE, FILE), "/usr/bin/xed"),
    Editor("pycharm", "PyCharm", "pycharm", _LINE, "/Applications/PyCharm.app/Contents/MacOS/pycharm"),
    Editor("idea", "IntelliJ IDEA", "idea", _LINE, "/Applications/IntelliJ IDEA.app/Contents/MacOS/idea"),
    Editor("webstorm", "WebStorm", "webstorm", _LINE, "/Applications/WebStorm.app/Contents/MacOS/webstorm"),
    Editor("goland", "GoLand", "goland", _LINE, "/Applications/GoLand.app/Contents/MacOS/goland"),
    Editor("bbedit", "BBEdit", "bbedit", (f"+{LINE}", FILE), "/Applications/BBEdit.app/Contents/Helpers/bbedit_tool"),
    Editor("kate", "Kate", "kate", ("--line", LINE, FILE)),
    Editor("gedit", "gedit", "gedit", (f"+{LINE}", FILE)),
)


def program_of(editor: Editor, which: Callable[[str], str | None] = shutil.which, system: str = sys.platform) -> str:
    """The path of its program, empty where it is not installed."""
    if system == "darwin" and editor.bundled and Path(editor.bundled).exists():
        # An app started from the Finder has a short PATH: the bundle is looked at first.
        return editor.bundled
    return which(editor.command) or ""


def installed(which: Callable[[str], str | None] = shutil.which, system: str = sys.platform) -> list[Editor]:
    """Those of `EDITORS` that are there."""
    return [editor for editor in EDITORS if program_of(editor, which, system)]


def command(
    setting: str,
    path: Path,
    line: int,
    *,
    which: Callable[[str], str | None] = shutil.which,
    system: str = sys.platform,
) -> list[str]:
    """Program and arguments that open `path` at `line` (from 1).

    `setting` is the key of an editor, "" or "system" for the first that is there, else a command with `{file}` and
    `{line}`. Without any editor the system opens the file, without the line. Raises AppError `no_such_file`,
    `bad_editor` or `no_editor`.
    """
    if not path.is_file():
        raise AppError(
            "no_such_file", f"The file {path} is no longer there.", hint="Search again.", where=Where(file=str(path)),
        )  # fmt: skip
    values = {FILE: str(path), LINE: str(max(1, line))}
    if FILE in setting:
        return _custom(setting, values, which)
    chosen = next((editor for editor in EDITORS if editor.key == setting), None)
    candidates: Sequence[Editor] = [chosen] if chosen else EDITORS if setting in ("", SYSTEM) else []
    for editor in candidates:
        if program := program_of(editor, which, system):
            return [program, *(_filled(part, values) for part in editor.arguments)]
    # As text: by itself it would run a file that is a program, such as a .command.
    opener = ["/usr/bin/open", "-t"] if system == "darwin" else [found] if (found := which("xdg-open")) else []
    if chosen is None and setting in ("", SYSTEM) and opener:
        return [*opener, str(path)]
    what = f"{chosen.name} is not installed here." if chosen else "No editor was found on this machine."
    raise AppError("no_editor", what, hint="Choose another editor in Settings, or write its command there.")


def _custom(setting: str, values: dict[str, str], which: Callable[[str], str | None]) -> list[str]:
    try:
        parts = shlex.split(setting)
    except ValueError as exc:
        raise AppError(
            "bad_editor", f"The editor's command can't be read: {exc}.", hint="Mend it in Settings.",
            where=Where(field=SETTING), detail=setting,
        ) from exc  # fmt: skip
    program = which(parts[0]) if parts else None
    if program is None:
        raise AppError(
            "bad_editor", f"The editor's command starts with “{parts[0] if parts else ''}”, which is no program here.",
            hint="Write its full path in Settings.", where=Where(field=SETTING),
        )  # fmt: skip
    return [program, *(_filled(part, values) for part in parts[1:])]


def _filled(part: str, values: dict[str, str]) -> str:
    # The line first: a file's name may hold anything, also "{line}".
    return part.replace(LINE, values[LINE]).replace(FILE, values[FILE])
