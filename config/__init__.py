"""Composes the site. No app imports from here.

Imports nothing: `config.bootstrap` runs before anything is installed.
"""
