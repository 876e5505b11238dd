"""What Standard Webhooks asks for, checked with the figures its specification publishes."""

import base64

from notifications.webhooks import signing
from notifications.webhooks.models import new_secret


def test_the_example_of_the_specification():
    signed = signing.signature(
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body='{"test": 2432232314}',
    )

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_make_two_signatures():
    secrets = [new_secret(), new_secret()]

    made = signing.headers(secrets=secrets, message_id="msg_1", timestamp=5, body="{}")

    alone = [signing.signature(secret=one, message_id="msg_1", timestamp=5, body="{}") for one in secrets]
    assert made == {"webhook-id": "msg_1", "webhook-timestamp": "5", "webhook-signature": " ".join(alone)}


def test_a_secret_has_256_bits():
    assert len(base64.b64decode(new_secret().removeprefix("whsec_"))) == 32
    assert new_secret() != new_secret()
