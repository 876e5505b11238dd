"""What this shop runs on, and how it is set up: the facts of the page System, and the page."""
