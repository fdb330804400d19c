"""mlx-lm's own layout: the folder as it is here."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.cancel import CancelToken
from core.training.exports import Exported
from core.training.publish import ADAPTER_FILE, CONFIG_FILE


class MlxLayout:
    """See `core.training.exports.AdapterFormat`."""

    name = "mlx"
    title = "mlx-lm"
    usage = (
        "With mlx-lm, on the same base:", "",
        '    mlx_lm.generate --model BASE --adapter-path THIS_FOLDER --prompt "..."',
    )  # fmt: skip
    needs_base = False

    def write(self, adapter: Exported, folder: Path, token: CancelToken) -> None:
        """Copy it."""
        for name in (ADAPTER_FILE, CONFIG_FILE):
            token.raise_if_cancelled()
            shutil.copyfile(adapter.folder / name, folder / name)


FORMAT = MlxLayout()
