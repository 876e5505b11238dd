"""A few words and handlers more, an app of a shop under test: `DJANGO_SETTINGS_MODULE=tests.conformance.settings`."""
