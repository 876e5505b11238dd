"""What a mail service tells us later, in its own dialect, from its webhook to the mailing list."""

import base64
import json

import pytest
from anymail.webhooks.postmark import PostmarkTrackingWebhookView
from django.core.exceptions import SuspiciousOperation
from django.test import RequestFactory, override_settings
from django.utils import timezone

import config.urls
from notifications.models import Event, Letter, Subscriber

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "service:a-long-password"


@pytest.fixture
def reader():
    return Subscriber.objects.create(email="ada@example.com", state="confirmed", confirmed_at=timezone.now())


@pytest.fixture
def letter(reader):
    texts = {"subject": "Hi", "text": "Hi", "html": "<p>Hi</p>", "correlation_id": "c"}
    return Letter.objects.create(
        once="x", template="t", to="ada@example.com", message_id="<1@x>", state="sent", sent_at=timezone.now(), **texts
    )


@pytest.fixture
def report():
    """Posts what Postmark would."""

    def post(secret=SECRET, **said):
        facts = {"Email": "Ada@Example.com", "MessageID": "pm-1", "BouncedAt": "2026-11-23T12:00:00Z", **said}
        request = RequestFactory().post(
            "/webhooks/mail/postmark/tracking/",
            json.dumps(facts),
            content_type="application/json",
            headers={"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"},
        )
        with override_settings(ANYMAIL={"WEBHOOK_SECRET": SECRET}):
            return PostmarkTrackingWebhookView.as_view()(request)

    return post


def state():
    return Subscriber.objects.get().state


def test_a_hard_bounce_ends_the_subscription(report, letter, deliver_due):
    for _ in range(2):
        report(RecordType="Bounce", Type="HardBounce", TypeCode=1, ID=1, Metadata={"letter": str(letter.pk)})
    deliver_due()

    letter.refresh_from_db()
    assert (letter.state, state()) == ("bounced", "bounced")
    assert Event.objects.filter(name="email.bounced").count() == 1


def test_a_full_mailbox_ends_nothing_and_a_hard_bounce_after_it_does(report, letter, deliver_due):
    number = {"letter": str(letter.pk)}
    report(RecordType="Bounce", Type="SoftBounce", TypeCode=4096, ID=1, Metadata=number)
    deliver_due()
    assert state() == "confirmed"

    report(RecordType="Bounce", Type="HardBounce", TypeCode=1, ID=2, Metadata=number)
    deliver_due()

    assert state() == "bounced"


def test_a_block_is_about_the_letter_and_not_about_its_reader(report, letter, deliver_due):
    report(RecordType="Bounce", Type="Blocked", TypeCode=100006, ID=1, Metadata={"letter": str(letter.pk)})
    deliver_due()

    letter.refresh_from_db()
    assert (letter.state, state()) == ("bounced", "confirmed")


def test_without_our_number_it_is_the_last_letter_to_the_address(report, letter, deliver_due):
    report(RecordType="Bounce", Type="HardBounce", TypeCode=1, ID=1)
    deliver_due()

    assert state() == "bounced"


def test_anothers_number_bounces_nothing(report, letter):
    said = {"Email": "eve@example.com", "Metadata": {"letter": str(letter.pk)}}
    report(RecordType="Bounce", Type="HardBounce", TypeCode=1, ID=1, **said)

    letter.refresh_from_db()
    assert letter.state == "sent"


def test_a_complaint_ends_it_too(report, letter):
    report(RecordType="SpamComplaint", Type="SpamComplaint", TypeCode=100001, ID=1)

    assert state() == "complained"


def test_who_leaves_at_the_service_has_left(report, reader):
    said = {"Recipient": "ada@example.com", "SuppressSending": True, "ChangedAt": "2026-11-23T12:00:00Z"}
    report(RecordType="SubscriptionChange", SuppressionReason="ManualSuppression", **said)

    assert state() == "left"


def test_a_report_without_the_password_changes_nothing(report, letter):
    with pytest.raises(SuspiciousOperation):  # which Django answers with 400
        report(secret="service:guessed", RecordType="Bounce", Type="HardBounce", TypeCode=1, ID=1)

    assert state() == "confirmed"


def test_only_the_service_that_is_ours_has_an_address():
    assert config.urls.mail_service_urls("") == []
    assert [found.name for found in config.urls.mail_service_urls("postmark")] == ["postmark_tracking_webhook"]
    assert [found.name for found in config.urls.mail_service_urls("mailgun")] == ["mailgun_tracking_webhook"]
