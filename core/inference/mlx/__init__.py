"""The MLX engine: generation (engine), adapters side by side in one model (pool), their files (adapter_file)."""
