import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifications.pipeline.retries import USUAL, Retry


class Dice(random.Random):
    def __init__(self, rolled):
        super().__init__()
        self.rolled = rolled

    def random(self):
        return self.rolled


def test_waits_grow_threefold_from_five_seconds_to_six_hours():
    waits = [USUAL.delay(n, Dice(1.0)).total_seconds() for n in range(1, 10)]

    assert waits == [5, 15, 45, 135, 405, 1215, 3645, 10935, 21600]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_half_of_a_wait_is_fixed_and_none_is_longer_than_six_hours(attempt, rolled):
    wait = USUAL.delay(attempt, Dice(rolled))

    assert USUAL.delay(attempt, Dice(0.0)) <= wait <= USUAL.delay(attempt, Dice(0.0)) * 2
    assert timedelta(seconds=2.5) <= wait <= USUAL.longest


def test_a_handler_may_have_pauses_of_its_own():
    webhooks = Retry(attempts=12, first=timedelta(minutes=1), longest=timedelta(hours=12))

    assert [webhooks.delay(n, Dice(1.0)) / timedelta(minutes=1) for n in (1, 2, 3, 12)] == [1, 3, 9, 720]
