"""The same small job after a commit, done in several ways: ours, and those that a Django developer could pick today.

Each is set up as its own documentation says, with the settings it has by default.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """How something is done after a commit.

    module: in this package; has `request(n)`, one request that causes the n-th job, and `run(role)`, a process that
    carries jobs out. roles: those processes; the first is the one that is killed. package: what pip installs for it.
    uses: the package that does the work where that is one of our own.
    """

    name: str
    promise: str
    module: str
    roles: tuple[str, ...]
    package: str = ""
    uses: str = ""
    settings: str = "config.settings"

    @property
    def path(self) -> str:
        return f"{__name__}.{self.module}"


OURS = "each handler runs, its database work exactly once"
WAYS = (
    Way("Waybill, relay alone", OURS, "pipeline", ("relay",)),
    Way("Waybill, Celery", OURS, "pipeline", ("worker", "relay")),
    Way(
        "Celery, on_commit(delay)",
        "at most once, and no trace of what is lost",
        "delay",
        ("worker",),
        uses="celery",
    ),
)
RIVALS = (
    Way(
        "procrastinate",
        "at least once: a person or a periodic task of one's own retries what a dead worker held",
        "procrastinate",
        ("worker",),
        package="procrastinate[django]",
        settings=f"{__name__}.procrastinate_settings",
    ),
    Way(
        "DBOS",
        "at least once: begun workflows go on when the process is back",
        "dbos",
        ("worker",),
        package="dbos",
        settings=f"{__name__}.dbos_settings",
    ),
)
# Not compared: it asks how soon what a dead worker held is begun again.
HELD = Way("Waybill, a dead worker", OURS, "held", ("worker", "worker", "relay"))
