"""Base models and adapters as GGUF files: what a file says of itself (files), whether an adapter fits (adapter_file),
and whether a GGUF base is the sibling of an MLX base (siblings)."""
