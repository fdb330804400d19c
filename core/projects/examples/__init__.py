"""Parsed code as conversations to train on: source -> symbols -> anatomy -> wording, conventions -> make -> work.

`make` is pure: files in, examples with their provenance and counts out. `trained` says how far the code has moved.
"""
