"""The newest of many values, at most every so often."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal, Slot

_NONE = object()


class Latest(QObject):
    """Lives in the GUI thread. `put` many, `ready` few; `flush` before showing a final state."""

    ready = Signal(object)

    def __init__(self, parent: QObject | None = None, *, interval_ms: int = 100) -> None:
        super().__init__(parent)
        self._value: object = _NONE
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self.flush)

    @Slot(object)
    def put(self, value: object) -> None:
        """Keep `value`; it replaces one that was not shown yet."""
        self._value = value
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def flush(self) -> None:
        """Show what waits, now."""
        self._timer.stop()
        value, self._value = self._value, _NONE
        if value is not _NONE:
            self.ready.emit(value)
