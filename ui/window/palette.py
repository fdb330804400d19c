"""The command palette: a field and a list over the window; every page, command and row by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    QTimer,
    Slot,
)
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ui.icons import icon
from ui.theme import theme
from ui.tokens import Sizes
from ui.widgets.basic import label
from ui.window.palette_source import Entry, PaletteSource
from ui.window.ranking import score

Index = QModelIndex | QPersistentModelIndex
ENTRY_ROLE = int(Qt.ItemDataRole.UserRole)
MOST_SHOWN = 12
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class EntryModel(QAbstractListModel):
    """The entries that fit, the best first; those that come later find their place without moving the chosen one."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.entries: list[Entry] = []

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self.entries):
            return None
        entry = self.entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.title
        if role == ENTRY_ROLE:
            return entry
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(part for part in (entry.title, entry.subtitle, entry.hint, entry.blocked) if part)
        return None

    def show(self, entries: Sequence[Entry]) -> None:
        """These, in this order."""
        self.beginResetModel()
        self.entries = list(entries)
        self.endResetModel()

    def place(self, key: str) -> int:
        """Where the entry of that key stands, -1 if it is not here."""
        return next((place for place, entry in enumerate(self.entries) if entry.key == key), -1)


class _Delegate(QStyledItemDelegate):
    """Icon, title, what it is; at the right the shortcut, or why it can't be done."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(theme().sizes.row, theme().sizes.row + theme().sizes.half)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        sizes, entry = theme().sizes, index.data(ENTRY_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().colour("tint"))
            painter.drawRoundedRect(option.rect, sizes.radius_control, sizes.radius_control)
        area = option.rect.adjusted(sizes.grid, 0, -sizes.grid, 0)
        side = sizes.icon
        picture = QRect(area.left(), area.center().y() - side // 2, side, side)
        icon(entry.icon, "faint" if entry.blocked else "muted").paint(painter, picture)
        area.setLeft(picture.right() + sizes.grid)
        right = entry.blocked or entry.hint
        width = min(painter.fontMetrics().horizontalAdvance(right) + sizes.half, area.width() * 2 // 5) if right else 0
        painter.setFont(theme().font(tabular=True))
        self._text(painter, area, right, "muted", Qt.AlignmentFlag.AlignRight, width)
        area.setRight(area.right() - width - sizes.grid)
        taken = self._text(painter, area, entry.title, "faint" if entry.blocked else "text", Qt.AlignmentFlag.AlignLeft)
        area.setLeft(area.left() + taken + sizes.grid)
        if area.width() > sizes.icon_large:
            painter.setFont(theme().font(sizes.caption))
            self._text(painter, area, entry.subtitle, "muted", Qt.AlignmentFlag.AlignLeft)
        painter.restore()

    @staticmethod
    def _text(painter: QPainter, area: QRect, text: str, colour: str, side: Qt.AlignmentFlag, width: int = 0) -> int:
        painter.setPen(theme().colour(colour))
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, width or area.width())
        painter.drawText(area, int(side | Qt.AlignmentFlag.AlignVCenter), shown)
        return painter.fontMetrics().horizontalAdvance(shown)


class _List(QListView):
    """Covers what is behind it, which would be painted anew with every letter else."""

    def __init__(self) -> None:
        super().__init__()
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self.viewport()) as painter:
            painter.fillRect(event.rect(), theme().colour("card"))
        super().paintEvent(event)


class EnterGuard(QObject):
    """After a command has run, Enter is nobody's for a moment: the second of two was meant for the palette.

    The focus is on a row or button by then, or in a dialog that the command opened.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_over)

    def start(self) -> None:
        """From now on, as long as a double click may take."""
        qapp = QApplication.instance()
        assert qapp is not None
        qapp.installEventFilter(self)
        self._timer.start(QApplication.doubleClickInterval())

    @Slot()
    def _on_over(self) -> None:
        qapp = QApplication.instance()
        if qapp is not None:
            qapp.removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.KeyPress or not isinstance(event, QKeyEvent) or event.key() not in ENTER:
            return False
        if event.isAutoRepeat():
            # A key that is held stays the palette's until it is let go.
            self._timer.start()
        return True


class Palette(QFrame):
    """Lies over its window and dies with it. `toggle()` opens it over what has the focus, which gets it back."""

    def __init__(self, window: QWidget, source: PaletteSource) -> None:
        super().__init__(window)
        self.setObjectName("palette")
        self.setProperty("role", "palette")
        self.setAccessibleName("Command palette")
        self._window, self._source = window, source
        self._before: QWidget | None = None
        self._moved = False
        self._guard = EnterGuard(self)
        self.field = QLineEdit()
        self.field.setObjectName("palette_field")
        self.field.setPlaceholderText("Search pages, commands, and names")
        self.field.setAccessibleName("Search pages, commands, and names")
        self.field.addAction(icon("ph.magnifying-glass"), QLineEdit.ActionPosition.LeadingPosition)
        self.field.installEventFilter(self)
        self.field.textChanged.connect(self._on_text)
        self.model = EntryModel(self)
        self.list = self._make_list()
        self.nothing = label("No results.", "muted", name="palette_nothing")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        box = QVBoxLayout(self)
        box.addWidget(self.field)
        box.addWidget(self.list, 1)
        box.addWidget(self.nothing, 1)
        window.installEventFilter(self)
        qapp = QApplication.instance()
        assert isinstance(qapp, QApplication)
        qapp.focusChanged.connect(self._on_focus)
        source.found.connect(self._on_found)
        source.learned.connect(self._on_learned)
        theme().changed.connect(self._place)
        self.hide()

    def _make_list(self) -> QListView:
        out = _List()
        out.setObjectName("palette_list")
        out.setAccessibleName("Results")
        out.setModel(self.model)
        self._delegate = _Delegate(out)
        out.setItemDelegate(self._delegate)
        out.setUniformItemSizes(True)
        out.setMouseTracking(True)
        # The field keeps the keyboard: what is typed always goes there.
        out.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        out.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        out.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        out.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        out.clicked.connect(self._on_clicked)
        out.entered.connect(self._on_entered)
        return out

    # Open and close

    @Slot()
    def toggle(self) -> None:
        """Open it, or close it if it is open."""
        if self.isVisible():
            self.close_up()
            return
        self._before = QApplication.focusWidget()
        self._source.learn()
        self.field.clear()
        self._show_text()
        self._place()
        self.show()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.PopupFocusReason)

    def close_up(self) -> None:
        """Close it and give the focus back."""
        self._source.ask("")
        focus = QApplication.focusWidget()
        had = focus is None or self.isAncestorOf(focus)
        before, self._before = self._before, None
        self.hide()
        if had and before is not None and before.isVisible() and before.isEnabled():
            before.setFocus(Qt.FocusReason.PopupFocusReason)

    @Slot()
    def _place(self) -> None:
        sizes, window = theme().sizes, self._window
        layout = self.layout()
        if layout is not None:
            layout.setContentsMargins(*[sizes.grid] * 4)
            layout.setSpacing(sizes.grid)
        top = 2 * Sizes().icon_large
        width = min(2 * sizes.field, window.width() - 2 * Sizes().margin)
        # Of one height: one that changes with every letter lets the page behind it be painted anew.
        tall = self.field.sizeHint().height() + 3 * sizes.grid + MOST_SHOWN * (sizes.row + sizes.half)
        height = min(tall + sizes.half, window.height() - top - Sizes().margin)
        self.setGeometry((window.width() - width) // 2, top, width, height)

    # What is shown

    @Slot(str)
    def _on_text(self, text: str) -> None:
        self._moved = False
        self._show_text()
        self._source.ask(text)

    def _show_text(self) -> None:
        self._show(self._source.entries(self.field.text()))

    @Slot()
    def _on_learned(self) -> None:
        if self.isVisible() and not self.field.text() and not self._moved:
            self._show_text()

    @Slot(str, object)
    def _on_found(self, text: str, rows: Sequence[Entry]) -> None:
        if not self.isVisible() or text != self.field.text().strip():
            return
        both = [*self.model.entries, *(row for row in rows if self.model.place(row.key) < 0)]
        # A row that fits as well as a command stands behind it.
        ranked = sorted(both, key=lambda entry: (-round(score(text, entry.title), -1), entry.key.startswith("row:")))
        self._show(ranked)

    def _show(self, entries: Sequence[Entry]) -> None:
        chosen = self.current() if self._moved else None
        self.model.show(entries)
        self.list.setVisible(bool(entries))
        self.nothing.setVisible(not entries)
        self._choose(max(0, self.model.place(chosen.key)) if chosen is not None else 0)

    def current(self) -> Entry | None:
        """The entry that Enter would run."""
        index = self.list.currentIndex()
        return self.model.entries[index.row()] if index.isValid() else None

    def _choose(self, place: int) -> None:
        if not self.model.entries:
            return
        index = self.model.index(max(0, min(place, len(self.model.entries) - 1)))
        self.list.setCurrentIndex(index)
        self.list.scrollTo(index)
        # The keyboard stays in the field, so that is where a screen reader hears of the choice.
        self.field.setAccessibleDescription(str(index.data(Qt.ItemDataRole.AccessibleTextRole)))

    def _step(self, by: int) -> None:
        self._moved = True
        place, last = self.list.currentIndex().row(), len(self.model.entries) - 1
        # One step over an end leads to the other; a page stops there.
        self._choose((place + by) % (last + 1) if abs(by) == 1 and last >= 0 else max(0, min(last, place + by)))

    # Run

    def run_current(self) -> None:
        """Run what is chosen, once the palette is gone and the focus where it was."""
        entry = self.current()
        if entry is None or entry.blocked:
            return
        self.close_up()
        self._guard.start()
        self._source.note(entry)
        entry.run()

    @Slot(QModelIndex)
    def _on_clicked(self, index: QModelIndex) -> None:
        self.list.setCurrentIndex(index)
        self.run_current()

    @Slot(QModelIndex)
    def _on_entered(self, index: QModelIndex) -> None:
        self._moved = True
        self.list.setCurrentIndex(index)

    # Events

    def focusNextPrevChild(self, forward: bool) -> bool:
        return True

    @Slot(QWidget, QWidget)
    def _on_focus(self, _before: QWidget | None, now: QWidget | None) -> None:
        if self.isVisible() and now is not None and now is not self and not self.isAncestorOf(now):
            self.close_up()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if watched is self.field and isinstance(event, QKeyEvent):
            if kind == QEvent.Type.ShortcutOverride:
                # Commands of the window wait; all keys are the field's, but for the one that ends the work.
                if not (event.key() == Qt.Key.Key_Q and event.modifiers() & Qt.KeyboardModifier.ControlModifier):
                    event.accept()
                return False
            return kind == QEvent.Type.KeyPress and self._on_key(event)
        if watched is self._window and self.isVisible():
            if kind == QEvent.Type.Resize:
                self._place()
            elif kind == QEvent.Type.MouseButtonPress:
                # Outside, on something that does not take the focus.
                self.close_up()
        return False

    def _on_key(self, event: QKeyEvent) -> bool:
        page = max(1, self.list.height() // (theme().sizes.row + theme().sizes.half) - 1)
        steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: page, Qt.Key.Key_PageUp: -page}
        key = Qt.Key(event.key())
        if key in steps:
            self._step(steps[key])
        elif key in ENTER:
            if not event.isAutoRepeat():
                self.run_current()
        elif key == Qt.Key.Key_Escape or (
            key == Qt.Key.Key_K and event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            self.close_up()
        elif key not in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            return False
        return True
