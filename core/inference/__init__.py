"""Questions become streamed tokens: the engine protocol, the worker that keeps one base and its adapters, its client.
A new engine is one package here (mlx) and one line in core/registries.py."""
