"""`python -m tests.crash sweep|worlds|mutants|machine FOLDER …`: die and carry on, by hand or for a test.

Django is set up here, for the database of this run, before anything that needs it is imported.
"""

import argparse
import importlib
import sys
from pathlib import Path

from tests.crash.stage import open_stage


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__, allow_abbrev=False)
    parser.add_argument("what", choices=["sweep", "worlds", "mutants", "machine"])
    parser.add_argument("folder", type=Path, help="for everything that is written")
    parser.add_argument("--database", default="", help="a URL; SQLite in the folder when not given")
    given, rest = parser.parse_known_args()
    with open_stage(given.folder.resolve(), database_url=given.database) as stage:
        return importlib.import_module(f"tests.crash.{given.what}").main(stage, rest)


if __name__ == "__main__":
    sys.exit(main())
