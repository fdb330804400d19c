"""The workspace's SQLite database: connections and transactions (connection), tables and migrations (schema).
Everything above reads through a connection of its own; one serial lane in app writes."""
