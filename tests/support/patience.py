"""How long a test waits for what has to come: an end for one that hangs, never a measure of speed."""

import os

# Shorter where somebody looks for what hangs: PATIENCE_S=40 make test ARGS=...
PATIENCE_S = float(os.environ.get("PATIENCE_S", "900"))
