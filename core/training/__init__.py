"""A dataset and a base become an adapter: settings (config), rows as batches, loop (trainer), checkpoints, publishing.
Work runs in a training worker; runs and adapters are rows (store, history), which core.inference reads."""
