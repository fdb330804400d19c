"""The workspace's SQLite database: connections and transactions (connection), tables and migrations (schema).
Everything above reads through a connection of its own; one serial lane in app writes.

sqlite-utils is imported here and nowhere else (but for types). It imports numpy where that is installed, for types that
are never stored here: a third of the CPU time that a light worker, the command line and the window need to start. A
thread that imports numpy at that moment would not find it: every process imports this before it has another thread.
"""

import sys

_hidden = "numpy" not in sys.modules
if _hidden:
    sys.modules["numpy"] = None  # type: ignore[assignment]
try:
    from sqlite_utils import Database, Migrations
finally:
    if _hidden:
        del sys.modules["numpy"]

__all__ = ["Database", "Migrations"]
