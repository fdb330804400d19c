"""Ollama as the host of base models: found, started and asked (host), models pulled and taken as bases (work, jobs).
Models lie in Ollama's store as GGUF files; the GGUF engine answers over them with adapters.
"""
