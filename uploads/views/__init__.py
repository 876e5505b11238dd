"""Pages and media."""
