"""One folder with all of the user's data: where things are (paths), atomic writes (files), lock and settings.
Everything above writes its files through it."""
