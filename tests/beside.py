"""Long runs that go on beside the tests from the start, one after another: who wants them asks how they ended.

The run around them leaves one core idle most of the time, and these need no more than that.
"""

from concurrent.futures import Future, ThreadPoolExecutor


class Beside:
    """Runs in one thread. What was not begun when the tests are over never begins."""

    def __init__(self):
        self._thread = ThreadPoolExecutor(1)
        self._begun: dict[str, Future] = {}
        self._stops = []

    def begin(self, name, run):
        """`run(on_stop)` may register what ends it early; what it returns or raises is the result of `name`."""
        self._begun[name] = self._thread.submit(run, self._stops.append)

    def result(self, name):
        """Waits for it. Raises what it raised, be it pytest's skip or failure."""
        return self._begun[name].result()

    def stop(self):
        for stop in self._stops:
            stop()
        self._thread.shutdown(cancel_futures=True)
