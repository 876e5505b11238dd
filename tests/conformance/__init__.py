"""A few words and handlers more, an app of a shop under test: `DJANGO_SETTINGS_MODULE=tests.conformance.settings`."""

LATER = 3.0  # seconds that the delayed delivery waits; said here, for the tests' own process must not load the handlers
