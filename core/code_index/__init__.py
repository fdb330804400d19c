"""What a project's code says: scanned, parsed into symbols, cut into chunks, embedded, stored, and found again.

The data goes scan -> languages -> chunking -> index (store, state, vectors) -> retrieve. All of it can be made again
from the project's files; nothing of a project is ever executed.
"""
