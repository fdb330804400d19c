"""One window a workspace: a second start raises the first and leaves."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtNetwork import QLocalServer, QLocalSocket

log = logging.getLogger(__name__)
RAISE = b"raise\n"


def server_name(root: Path) -> str:
    """Short, because socket paths are limited to about 100 characters on macOS."""
    digest = hashlib.sha256(f"{os.getuid()}:{root.resolve()}".encode()).hexdigest()
    return f"brightrun-{digest[:16]}"


def raise_first(root: Path, timeout_ms: int = 500) -> bool:
    """Ask the window that has this workspace to come to the front; False if there is none."""
    socket = QLocalSocket()
    socket.connectToServer(server_name(root))
    if not socket.waitForConnected(timeout_ms):
        return False
    socket.write(RAISE)
    socket.waitForBytesWritten(timeout_ms)
    socket.disconnectFromServer()
    return True


class SingleInstance(QObject):
    """The first window's ear. Lives in the GUI thread; open it only while holding the workspace's lock."""

    raise_requested = Signal()

    def __init__(self, root: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = server_name(root)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)

    def listen(self) -> bool:
        """Take the name; a socket left by a killed window is removed first."""
        QLocalServer.removeServer(self._name)
        if not self._server.listen(self._name):
            log.warning("no single-instance socket: %s", self._server.errorString())
            return False
        return True

    @Slot()
    def _on_connection(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.disconnected.connect(socket.deleteLater)
            self.raise_requested.emit()

    def close(self) -> None:
        """Give the name back."""
        self._server.close()
