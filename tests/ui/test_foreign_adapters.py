"""The Adapters page takes adapters in by dialog and by drop, checks them again, and copies them out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QWidget
from pytestqt.qtbot import QtBot

from app.services import Services
from core.models import store as models
from core.training.store import get_adapter, list_adapters
from tests.support.foreign import write_peft
from tests.support.hf_model import write_hf_model
from tests.support.pages import click, dialog, open_page, shown_text, until
from ui.pages.adapters.page import AdaptersPage
from ui.window.main_window import MainWindow

opened = partial(open_page, kind=AdaptersPage)


def drop(target: QWidget, path: Path) -> bool:
    """As the window system does it; whether the target takes it."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, data, buttons, keys)
    QApplication.sendEvent(target, enter)
    if not enter.isAccepted():
        return False
    QApplication.sendEvent(target, QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, buttons, keys))
    return True


def test_a_dropped_adapter_is_imported_onto_the_base_it_names(
    qtbot: QtBot, qapp: Any, window: MainWindow, services: Services, trained: str
) -> None:
    page = opened(qtbot, window)
    db = services.connections.db
    folder = services.workspace.absolute(get_adapter(db, trained).path)
    assert drop(window, folder)
    asked = dialog(qapp, "import_adapter_dialog")
    until(qtbot, lambda: asked.facts.facts.get("Layout") == "mlx-lm")
    assert asked.base.currentText() == "Practice model"
    asked.name.clear()
    assert not asked.primary.isEnabled()
    qtbot.keyClicks(asked.name, "From a friend")
    click(qtbot, asked, "import_adapter_go")
    until(qtbot, lambda: page.adapters.rows.rowCount() == 2)
    until(qtbot, lambda: shown_text(page, "adapter_title") == "From a friend")
    detail = page.inspector.adapter
    assert "trained elsewhere" in shown_text(page, "adapter_verdict")
    assert detail.facts.facts["Layout"] == "mlx-lm"
    assert not detail.losses.isVisible()
    assert not detail.run.isVisible()
    other, own = (get_adapter(db, ident) for ident in (page.adapters.current().id, trained))
    assert other.passport["system_prompt"] == own.passport["system_prompt"]


def test_what_does_not_fit_is_told_and_nothing_is_left(
    qtbot: QtBot, qapp: Any, window: MainWindow, services: Services, trained: str, tmp_path: Path
) -> None:
    page = opened(qtbot, window)
    click(qtbot, page, "import_adapter")
    chooser = page.findChild(QFileDialog, "adapter_dialog")
    assert chooser is not None
    chooser.reject()
    page.arrivals.import_adapter(str(write_peft(tmp_path / "theirs")), *page._bases_for_import())
    asked = dialog(qapp, "import_adapter_dialog")
    until(qtbot, asked.primary.isEnabled)
    assert asked.facts.facts["Says it was trained on"] == "tiny/Llama-it"
    click(qtbot, asked, "import_adapter_go")
    until(qtbot, lambda: bool(page.banners.banners))
    assert "theirs" in page.banners.banners[0].text
    assert len(list_adapters(services.connections.db)) == 1
    (tmp_path / "empty").mkdir()
    page.arrivals.import_adapter(str(tmp_path / "empty"), *page._bases_for_import())
    asked = dialog(qapp, "import_adapter_dialog")
    until(qtbot, lambda: bool(asked.banners.banners))
    assert not asked.primary.isEnabled()
    asked.leave()


def test_a_dropped_base_is_added_and_other_files_are_left_to_the_window(
    qtbot: QtBot, window: MainWindow, services: Services, trained: str, tmp_path: Path
) -> None:
    opened(qtbot, window)
    (tmp_path / "talks").mkdir()
    imported: list[Any] = []
    window.files_dropped.connect(imported.append)
    drop(window, tmp_path / "talks")
    assert imported == [[tmp_path / "talks"]]
    opened(qtbot, window)
    drop(window, write_hf_model(tmp_path / "base"))
    until(qtbot, lambda: len(models.listing(services.connections.db)) == 2)
    assert len(imported) == 1


def test_an_adapter_is_checked_and_exported(
    qtbot: QtBot, window: MainWindow, services: Services, trained: str, tmp_path: Path
) -> None:
    page = opened(qtbot, window)
    click(qtbot, page.inspector, "check_adapter")
    until(qtbot, lambda: any("intact" in banner.text for banner in page.banners.banners))
    click(qtbot, page.inspector, "export_adapter")
    (menu,) = (found for found in page.findChildren(QMenu, "adapter_formats") if found.isVisible())
    assert [action.text() for action in menu.actions()] == ["mlx-lm", "PEFT (transformers)", "GGUF (llama.cpp, Ollama)"]
    menu.actions()[0].trigger()
    menu.close()
    chooser = page.findChild(QFileDialog, "export_dialog")
    assert chooser is not None
    chooser.fileSelected.emit(str(tmp_path))
    chooser.reject()
    until(qtbot, lambda: any("exported" in banner.text for banner in page.banners.banners))
    assert (tmp_path / "Practice run" / "README.md").is_file()
    file = services.workspace.absolute(get_adapter(services.connections.db, trained).path) / "adapters.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    page.banners.clear()
    click(qtbot, page.inspector, "check_adapter")
    until(qtbot, lambda: any("passport" in banner.text for banner in page.banners.banners))
