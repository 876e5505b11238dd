"""What happens after the commit. The bottom layer: knows no other app."""
