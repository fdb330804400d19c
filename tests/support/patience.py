"""How long a test waits for what has to come: an end for one that hangs, never a measure of speed."""

PATIENCE_S = 60.0
