"""The product without Qt: one package a capability."""

import sys

# sqlite-utils imports numpy where it is installed, for types that are never stored here: a third of the CPU time that
# a light worker, the command line and the window need to start.
if "numpy" not in sys.modules:
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        import sqlite_utils  # noqa: F401
    finally:
        del sys.modules["numpy"]
