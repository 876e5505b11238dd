"""The comparison claims nothing that cannot be looked up: each proof of ours exists."""

import json
import re
from io import StringIO

import pytest
from django.core.management import call_command, get_commands

from config.management.commands.bench import PARTS
from notifications.pipeline.comparison import PROPERTIES, WAYS
from tests.test_house import CHECKOUT

PROOFS = sorted({proof for one in PROPERTIES for proof in one.cells["waybill"].shown_by})


def compared(*flags):
    out = StringIO()
    call_command("pipeline", "compare", *flags, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("proof", PROOFS)
def test_each_proof_of_ours_is_a_test_or_a_command_that_exists(proof):
    if proof.startswith("manage.py "):
        _, command, part = proof.split()
        assert command in get_commands()
        assert part in (PARTS if command == "bench" else ("dead", "map"))
    else:
        file, name = proof.split("::")
        assert re.search(rf"^def {name}\(", (CHECKOUT / file).read_text(), re.M)


def test_every_property_is_shown_for_us_and_says_where_for_others():
    for one in PROPERTIES:
        assert "waybill" in one.cells
        assert one.cells.keys() <= WAYS.keys()
        assert [cell for cell in one.cells.values() if not cell.shown_by] == []


def test_ways_that_the_bench_measures_are_there():
    named = {where for one in PROPERTIES for cell in one.cells.values() for where in cell.shown_by}

    assert [where for where in named if where.startswith("config/") and not (CHECKOUT / where).exists()] == []


def test_the_terminal_says_what_shows_ours_and_what_was_not_looked_into():
    words = compared()

    assert "Killed between the commit and the hand-over, nothing is lost\n  ✓  Waybill: there is no hand-over" in words
    assert "\n      shown by tests/crash/test_dying_web.py::test_the_letters_of_killed" in words
    assert "\n  ✗  Celery, on_commit(delay): the hook dies with its process" in words
    assert "\n  ?  DBOS: not looked into\n" in words


def test_no_figure_is_claimed():
    words = " ".join(cell.words for one in PROPERTIES for cell in one.cells.values())

    assert re.findall(r"\d", words) == []


def test_programs_get_the_same_as_facts():
    facts = json.loads(compared("--json"))

    assert facts["ways"]["waybill"] == "Waybill"
    assert [one["title"] for one in facts["properties"]] == [one.title for one in PROPERTIES]
    assert facts["properties"][1]["cells"]["celery"]["holds"] is False
