"""Adapters from and to elsewhere: read (layouts, peft, foreign), imported and checked again (work), exported (export).
A folder in mlx-lm's or PEFT's layout goes in and becomes a row like that of a trained one; a folder comes out.
Which bases are one model in two formats (siblings, comparing), and adapters as models in Ollama (shares, sharing)."""
