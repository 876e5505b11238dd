"""SQLite, whose writers queue in turn instead of racing for the lock."""
