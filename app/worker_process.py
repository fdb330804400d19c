"""How every worker process is set up, before it is started."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QIODevice, QProcess, QProcessEnvironment

from core.lanes import Lane
from core.workers.session import worker_environment
from core.workspace.paths import source_root


def set_up(process: QProcess, log_path: Path, lane: Lane | None = None) -> None:
    """Environment, folder, where stderr goes; and a session of its own.

    Ctrl+C in the terminal must reach the window alone, which then stops workers in order.
    """
    environment = QProcessEnvironment()
    for name, value in worker_environment(lane).items():
        environment.insert(name, value)
    process.setProcessEnvironment(environment)
    process.setWorkingDirectory(str(source_root()))
    process.setStandardErrorFile(str(log_path), QIODevice.OpenModeFlag.Append)
    parameters = QProcess.UnixProcessParameters()
    parameters.flags = QProcess.UnixProcessFlag.CreateNewSession
    process.setUnixProcessParameters(parameters)
