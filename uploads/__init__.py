"""Pictures and video: accepting a file, and the renditions made of it after the commit."""
