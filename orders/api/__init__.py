"""The shop for programs."""
