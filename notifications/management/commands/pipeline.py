"""`manage.py pipeline …`: how the handlers are doing, and the decisions of the failures page, from a terminal."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from notifications.pipeline import brakes, bulk, comparison, deadletters, queues, replay
from notifications.pipeline.advice import QUESTIONS, Answers, advise, markdown
from notifications.pipeline.events import Subscription, subscriptions
from notifications.pipeline.health import pipeline_health
from notifications.pipeline.latency import latencies
from notifications.pipeline.map import pipeline_map, svg, words
from notifications.pipeline.models import Brake, BulkDecision
from notifications.pipeline.retention import KEPT
from notifications.pipeline.steps import steps_by_way

BY = "terminal"


class Command(BaseCommand):
    help = "Shows how the handlers are doing, and decides about those that fail."

    def add_arguments(self, parser: CommandParser) -> None:
        ways = parser.add_subparsers(dest="way", required=True)
        status = ways.add_parser("status", help="who runs the handlers, and what waits")
        dead = ways.add_parser("dead", help="what has failed for good, in groups")
        dead.add_argument("what", nargs="?", choices=["list", "retry", "discard"], default="list")
        dead.add_argument("--handler", default="", help="of this handler only")
        dead.add_argument("--kind", default="", help="of this fingerprint only, as `dead list` names it")
        dead.add_argument("--reason", default="", help="why it is discarded")
        dead.add_argument("--canary", action="store_true", help="retry one first, and the others when it has worked")
        again = ways.add_parser("replay", help="let a handler catch up with what it has missed")
        again.add_argument("handler")
        again.add_argument("--since", required=True, help="a date or a time, such as 2026-11-01")
        again.add_argument("--dry-run", action="store_true", help="only say how many")
        again.add_argument("--new", action="store_true", help="it has never run: go back further than is remembered")
        pause = ways.add_parser("pause", help="let a handler's deliveries wait")
        pause.add_argument("handler")
        pause.add_argument("--reason", default="")
        resume = ways.add_parser("resume", help="let a handler go on that was paused, or rests")
        resume.add_argument("handler")
        queue = ways.add_parser("queue", help="what waits in each queue; or change one of them")
        queue.add_argument("name", nargs="?", default="")
        change = queue.add_mutually_exclusive_group()
        change.add_argument("--pause", action="store_true", help="let its deliveries wait")
        change.add_argument("--resume", action="store_true", help="let them go on")
        change.add_argument("--at-once", type=int, help="how many run, on all machines together; 0 for no limit")
        queue.add_argument("--reason", default="", help="why it is paused")
        drawn = ways.add_parser("map", help="every event, who handles it, and what those publish in turn")
        drawn.add_argument("--format", choices=["text", "json", "svg", "markdown"], default="text")
        guide = ways.add_parser("advise", help="does a step belong in the request, after the commit, or in both?")
        for name, question in QUESTIONS.items():
            guide.add_argument(f"--{name}", action="store_true", help=question)
        compared = ways.add_parser("compare", help="what is promised here, and what other ways promise")
        for one in (status, dead, again, pause, resume, queue, drawn, guide, compared):
            one.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, way: str, **options: Any) -> None:
        facts, said = _WAYS[way](options)
        for_programs = options["json"] or options.get("format") == "json"
        self.stdout.write(json.dumps(facts, indent=2, default=str) if for_programs else said)


Said = tuple[Any, str]


def _status(_: dict[str, Any]) -> Said:
    health = pipeline_health()
    held = list(Brake.objects.holding(timezone.now()).order_by("handler"))
    facts = asdict(health) | {
        "warnings": health.warnings,
        "held_back": [
            {"handler": one.handler, "paused": one.paused_at, "resting_until": one.resting_until} for one in held
        ],
        "paused_queues": [one.name for one in queues.loads() if one.paused_by],
    }
    busy = latencies(timezone.now())
    facts["handlers"] = [asdict(one) for one in busy]
    relay = "alive" if health.relay_alive else "not running"
    lines = [
        f"relay {relay}, workers {health.workers_alive}, broker {health.broker}",
        f"{health.waiting} waiting, the oldest for {health.oldest_waiting_seconds:.0f} s; {health.dead} dead",
        *(f"{one.handler} is {'paused' if one.paused_at else 'resting'}" for one in held),
        *(f"the queue {name} is paused" for name in facts["paused_queues"]),
        *health.warnings,
        *(
            f"{one.handler}: {one.done} done in five minutes, p50/p95 of wait {one.wait.p50:.2f}/{one.wait.p95:.2f} s,"
            f" of run {one.run.p50:.2f}/{one.run.p95:.2f} s"
            for one in busy
        ),
    ]
    return facts, "\n".join(lines)


def _dead(options: dict[str, Any]) -> Said:
    if options["what"] == "list":
        return _dead_list(options)
    action = BulkDecision.Action(options["what"])
    if action == BulkDecision.Action.DISCARD and not options["reason"].strip():
        raise CommandError("Say why: --reason.")
    job = bulk.decide(
        action=action,
        by=BY,
        handler=options["handler"],
        fingerprint=options["kind"],
        reason=options["reason"],
        canary=options["canary"],
    )
    told = f"{action.label} {job.total}: the pipeline does it, ten a second. See /admin/notifications/failure/."
    return {"id": job.pk, "action": action, "total": job.total}, told


def _dead_list(options: dict[str, Any]) -> Said:
    found: list[dict[str, Any]] = [
        {
            "handler": group.handler,
            "kind": group.fingerprint,
            "count": group.count,
            "first": group.first,
            "last": group.last,
            "error": group.sample.last_error,
        }
        for group in deadletters.groups(most=1000)
        if options["handler"] in ("", group.handler) and options["kind"] in ("", group.fingerprint)
    ]
    lines = [f"{one['count']:6} {one['handler']}  {one['kind']}  {one['error'][:120]}" for one in found]
    return found, "\n".join(lines) or "Nothing is dead."


def _replay(options: dict[str, Any]) -> Said:
    subscription, since = _known(options["handler"]), _moment(options["since"])
    if since < timezone.now() - KEPT and not options["new"]:
        raise CommandError(
            f"--since may go back {KEPT.days} days: what {subscription.handler} has done before is forgotten, and "
            "would be done again. If it has never run, say --new."
        )
    if options["dry_run"]:
        count = replay.missed(subscription, since=since).count()
        return {"missed": count}, f"{count} events would be delivered to {subscription.handler}."
    made = replay.replay(subscription, since=since)
    return {"delivered": made}, f"{made} events are delivered to {subscription.handler} now."


def _pause(options: dict[str, Any]) -> Said:
    handler = _known(options["handler"]).handler
    brakes.pause(handler, by=BY, reason=options["reason"])
    return {"handler": handler, "paused": True}, f"{handler} is paused. Its deliveries wait, and lose no try by it."


def _resume(options: dict[str, Any]) -> Said:
    handler = _known(options["handler"]).handler
    resumed = brakes.resume(handler, by=BY)
    return {
        "handler": handler,
        "resumed": resumed,
    }, f"{handler} goes on." if resumed else f"Nothing held {handler} back."


def _queue(options: dict[str, Any]) -> Said:
    try:
        _change_queue(options)
    except (queues.UnknownQueue, ValueError) as problem:
        raise CommandError(str(problem)) from problem
    found = [one for one in queues.loads() if options["name"] in ("", one.name)]
    lines = [
        f"{one.name}: {one.waiting} waiting, {one.running} running, {one.at_once or 'all'} at once"
        + (f", paused by {one.paused_by} {one.reason}".rstrip() if one.paused_by else "")
        for one in found
    ]
    return [asdict(one) for one in found], "\n".join(lines)


def _change_queue(options: dict[str, Any]) -> None:
    name = options["name"]
    if options["pause"]:
        queues.pause(name, by=BY, reason=options["reason"])
    elif options["resume"]:
        queues.resume(name, by=BY)
    elif options["at_once"] is not None:
        queues.limit(name, options["at_once"] or None, by=BY)
    elif name and name not in queues.names():
        raise queues.UnknownQueue(f"There is no queue {name}. There are: {', '.join(queues.names())}.")


def _map(options: dict[str, Any]) -> Said:
    shown = pipeline_map()
    renderings = {"svg": svg.alone, "markdown": words.markdown}
    return asdict(shown), renderings.get(options["format"], words.text)(shown)


def _advise(options: dict[str, Any]) -> Said:
    """By its flags; without one, a person at a terminal is asked."""
    yes = {name for name in QUESTIONS if options[name]}
    if not yes and not options["json"] and sys.stdin.isatty():
        yes = {name for name, question in QUESTIONS.items() if _says_yes(question)}
    given = advise(Answers.of(yes))
    alike = steps_by_way()[given.way]
    return asdict(given) | {"steps": [asdict(step) for step in alike]}, markdown(given, [str(step) for step in alike])


def _says_yes(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _compare(_: dict[str, Any]) -> Said:
    return comparison.facts(), comparison.table()


def _known(handler: str) -> Subscription:
    if handler not in subscriptions:
        raise CommandError(f"There is no handler {handler}. There are: {', '.join(sorted(subscriptions))}.")
    return subscriptions[handler]


def _moment(said: str) -> datetime:
    try:
        moment = parse_datetime(said)
        day = parse_date(said) if moment is None else None
    except ValueError:
        moment = day = None
    if moment is None and day is not None:
        moment = datetime.combine(day, time.min)
    if moment is None:
        raise CommandError(f"--since is a date or a time, such as 2026-11-01 or 2026-11-01T12:00, not {said}.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


_WAYS: dict[str, Callable[[dict[str, Any]], Said]] = {
    "status": _status,
    "dead": _dead,
    "replay": _replay,
    "pause": _pause,
    "resume": _resume,
    "queue": _queue,
    "map": _map,
    "advise": _advise,
    "compare": _compare,
}
