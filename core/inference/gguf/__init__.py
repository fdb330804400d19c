"""Base models and adapters as GGUF files: an engine over llama.cpp's server (engine, server), whether an adapter fits
(adapter_file), whether a GGUF base is the sibling of an MLX base (siblings), base and adapter as one file (fuse), a
small base written (writing)."""
