"""PostgreSQL, whose answers are not waited for without end."""
