"""The work on files itself. Knows no database."""
