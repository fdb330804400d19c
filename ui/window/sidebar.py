"""The sidebar: pages by group, foldable to icons, counts where something asks for action."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QLabel, QVBoxLayout, QWidget

from ui.registry import PageSpec
from ui.theme import theme
from ui.widgets.basic import Button, label, row, scrolled


class NavButton(Button):
    """One page of the sidebar."""

    def __init__(self, spec: PageSpec) -> None:
        super().__init__(spec.title, "nav", spec.icon, name=f"nav_{spec.name}", accessible=spec.title)
        self.spec = spec
        self._badge = 0
        self._keys = ""
        self.setCheckable(True)
        self.set_keys("")

    def set_keys(self, keys: str) -> None:
        """The shortcut, for the tooltip."""
        self._keys = keys
        self.setToolTip(f"{self.spec.title}  {keys}".strip())

    def set_badge(self, count: int) -> None:
        """How many things ask for action; 0 shows nothing."""
        self._badge = count
        self.setAccessibleName(
            f"{self.spec.title}, {count} need{'s' if count == 1 else ''} attention" if count else self.spec.title
        )
        self.update()

    @property
    def badge(self) -> int:
        """The count shown."""
        return self._badge

    def set_folded(self, folded: bool) -> None:
        """Icon alone, or icon and word."""
        self.setText("" if folded else "  " + self.spec.title)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), theme().sizes.row)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._badge:
            return
        with QPainter(self) as painter:
            sizes = theme().sizes
            if not self.text():
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(theme().colour("accent"))
                painter.drawEllipse(QRectF(self.width() - 1.5 * sizes.grid, sizes.half, sizes.bar, sizes.bar))
                return
            painter.setFont(theme().font(sizes.caption, tabular=True))
            painter.setPen(theme().colour("muted"))
            area = self.rect().adjusted(0, 0, -sizes.grid - 2, 0)
            align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(area, int(align), str(self._badge) if self._badge < 1000 else "999+")


class Sidebar(QWidget):
    """Emits `page_requested(name)`; the window says which page is current."""

    page_requested = Signal(str)

    def __init__(self, specs: list[PageSpec], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Pages")
        self.folded = False
        self._headings: list[QLabel] = []
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self.buttons: dict[str, NavButton] = {}
        self._title = label("Bright Run", "strong", name="product")
        self._fold = Button("", "ghost", "ph.layout", tip="Collapse sidebar", name="fold")
        self._build(specs)
        self.fold_button = self._fold
        self._resize()
        theme().changed.connect(self._resize)

    def _build(self, specs: list[PageSpec]) -> None:
        sizes = theme().sizes
        inner = QWidget()
        box = QVBoxLayout(inner)
        box.setContentsMargins(sizes.grid, sizes.grid + 2, sizes.grid, sizes.grid + 2)
        box.setSpacing(1)
        self._head = row(self._title, None, self._fold)
        box.addWidget(self._head)
        group = ""
        for spec in specs:
            if spec.group != group:
                group = spec.group
                if group == "foot":
                    box.addStretch(1)
                else:
                    heading = label(group, "group")
                    self._headings.append(heading)
                    box.addWidget(heading)
            box.addWidget(self._button(spec))
        if group != "foot":
            box.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 1, 0)
        outer.addWidget(scrolled(inner))

    def _button(self, spec: PageSpec) -> NavButton:
        button = NavButton(spec)
        button.set_folded(False)
        button.clicked.connect(self._on_clicked)
        self._group.addButton(button)
        self.buttons[spec.name] = button
        return button

    @Slot()
    def _on_clicked(self) -> None:
        button = self.sender()
        if isinstance(button, NavButton):
            self.page_requested.emit(button.spec.name)

    def set_current(self, name: str) -> None:
        """Mark the page that is shown."""
        if name in self.buttons:
            self.buttons[name].setChecked(True)

    def set_folded(self, folded: bool) -> None:
        """Fold to icons, or unfold."""
        self.folded = folded
        self._title.setVisible(not folded)
        for heading in self._headings:
            heading.setVisible(not folded)
        for button in self.buttons.values():
            button.set_folded(folded)
        self._resize()

    @Slot()
    def _resize(self) -> None:
        sizes = theme().sizes
        layout = self._head.layout()
        if layout is not None:
            # Folded, the button is above the icons.
            left, right = (0, sizes.bar) if self.folded else (sizes.grid + 2, 0)
            layout.setContentsMargins(left, 0, right, sizes.half)
        self.setFixedWidth(sizes.sidebar_small if self.folded else sizes.sidebar)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._resize()
