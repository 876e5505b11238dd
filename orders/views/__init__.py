"""The shop's pages. Each parses, makes one call to a verb, and says what came of it."""
