"""Adapters from elsewhere and to elsewhere: read (layouts, peft, foreign), imported, checked again and exported (work).
A folder in mlx-lm's or PEFT's layout goes in and becomes a row like that of a trained one; a folder comes out."""
