"""Letters and a mail server that says no, in all the ways it can."""

import pytest
from aiosmtpd.controller import Controller
from django.db import transaction

from accounts.models import User
from config import ports
from notifications.mail.letters import queue_letter
from notifications.models import Attempt, Delivery, Letter

pytestmark = pytest.mark.django_db(transaction=True)


class Server:
    """A mail server that answers each step as it was told."""

    def __init__(self):
        self.says, self.taken = {}, []

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        if "MAIL" in self.says:
            return self.says["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if "RCPT" in self.says:
            return self.says["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if "DATA" in self.says:
            return self.says["DATA"]
        self.taken.append(envelope.rcpt_tos)
        return "250 OK"


@pytest.fixture
def server(settings):
    handler, [port] = Server(), ports.free_ports(1)
    controller = Controller(handler, hostname=ports.HOST, port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = ports.HOST, port
    yield handler
    controller.stop()


@pytest.fixture
def posted(server, deliver_due):
    """One letter, after the server has been asked once to take it: its delivery, and its failed tries."""

    def post():
        user = User.objects.create(email="ada@example.com")
        with transaction.atomic():
            queue_letter(once="1", template="accounts/welcome", to=user.email, context={"user": user}, about=user)
        deliver_due()
        row = Delivery.objects.filter(handler="notifications.send_letter").earliest("pk")
        return row, Attempt.objects.filter(delivery=row).count()

    return post


def test_a_letter_is_taken(posted, server):
    row, failed = posted()

    assert (row.state, failed, server.taken) == ("done", 0, [["ada@example.com"]])


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_what_will_never_be_taken_is_not_tried_again(posted, server, step):
    server.says[step] = "550 no such mailbox"
    row, failed = posted()

    assert (row.state, failed) == ("dead", 1)
    assert row.last_error == "the mail server refuses this letter: 550 no such mailbox"
    assert Letter.objects.get(template="accounts/welcome").state == ("bounced" if step == "RCPT" else "queued")


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_refusal_of_the_moment_is_tried_again_and_counts(posted, server, step):
    server.says[step] = "450 greylisted, come again"
    row, failed = posted()

    assert (row.state, row.attempt, failed) == ("ready", 1, 1)
    assert "greylisted" in row.last_error


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_closes_burns_no_attempt(posted, server, step):
    server.says[step] = "421 shutting down"
    row, failed = posted()

    assert (row.state, row.attempt, failed) == ("ready", 0, 0)
    assert "shutting down" in row.last_error


def test_a_server_that_is_away_burns_no_attempt(posted, settings):
    [settings.EMAIL_PORT] = ports.free_ports(1)
    row, failed = posted()

    assert (row.state, row.attempt, failed) == ("ready", 0, 0)
    assert row.last_error.startswith("the mail server does not answer")
