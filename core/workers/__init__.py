"""How a job runs in a process of its own: JSON lines (protocol), the worker's side (host), the parent's side (session),
and a job run without an event loop (runner). Events go from the worker through the log into the database."""
