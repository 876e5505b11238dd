"""How events and deliveries look to programs. Ids are the public UUIDs, never the rows' numbers."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from notifications.api.reading import Line, Whole
from notifications.pipeline.models import Attempt, Delivery

MOST_AT_ONCE = 1000


class EventSerializer(serializers.Serializer[Any]):
    """A fact that was committed."""

    id = serializers.UUIDField(source="uid")
    name = serializers.CharField()
    version = serializers.IntegerField()
    subject = serializers.CharField(allow_blank=True, help_text="What it is about, as `order:17`.")
    payload = serializers.DictField()
    correlation_id = serializers.CharField()
    caused_by = serializers.UUIDField(
        source="causation.uid", default=None, allow_null=True, help_text="The event whose handler published this one."
    )
    actor = serializers.CharField()
    occurred_at = serializers.DateTimeField()


class EventBriefSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid")
    name = serializers.CharField()
    subject = serializers.CharField(allow_blank=True)


class DeliverySerializer(serializers.Serializer[Any]):
    """One event for one handler."""

    id = serializers.UUIDField(source="uid")
    handler = serializers.CharField()
    queue = serializers.CharField()
    state = serializers.ChoiceField(choices=Delivery.State.choices)
    event = EventBriefSerializer()
    correlation_id = serializers.CharField(source="event.correlation_id")
    attempts = serializers.IntegerField(source="attempt", min_value=0)
    max_attempts = serializers.IntegerField(min_value=0)
    crashes = serializers.IntegerField(min_value=0, help_text="How many processes have died over it.")
    available_at = serializers.DateTimeField(help_text="Not tried before this moment.")
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


class TrySerializer(serializers.Serializer[Any]):
    """One try that did not end well."""

    n = serializers.IntegerField(min_value=0)
    outcome = serializers.ChoiceField(choices=Attempt.Outcome.choices)
    error_class = serializers.CharField(allow_blank=True)
    message = serializers.CharField(allow_blank=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField()


class DecisionSerializer(serializers.Serializer[Any]):
    """What a person or a program decided about a delivery."""

    action = serializers.CharField()
    by = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()


class DeliveryInFullSerializer(DeliverySerializer):
    tries = TrySerializer(many=True, source="attempts.all")
    decisions = serializers.SerializerMethodField()

    @extend_schema_field(DecisionSerializer(many=True))
    def get_decisions(self, delivery: Delivery) -> list[dict[str, str]]:
        return delivery.resolution or []


class EventDeliverySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid")
    handler = serializers.CharField()
    state = serializers.ChoiceField(choices=Delivery.State.choices)
    attempts = serializers.IntegerField(source="attempt", min_value=0)


class EventInFullSerializer(EventSerializer):
    deliveries = EventDeliverySerializer(many=True, source="deliveries.all")


class EventFilter(serializers.Serializer[Any]):
    name = Line(max_length=100, required=False, help_text="As `order.placed`.")
    subject = Line(max_length=100, required=False, help_text="As `order:17`.")
    correlation_id = Line(max_length=64, required=False, help_text="An `X-Request-ID`.")


class DeliveryFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=Delivery.State.choices, required=False)
    handler = Line(max_length=150, required=False, help_text="As `orders.email_confirmation`.")


class RetrySerializer(serializers.Serializer[Any]):
    """Which deliveries to retry. Unknown fields are refused: a misspelt filter must not widen it."""

    state = serializers.ChoiceField(choices=[Delivery.State.DEAD.value], required=False, default=Delivery.State.DEAD)
    handler = Line(max_length=150, required=False)
    limit = Whole(min_value=1, max_value=MOST_AT_ONCE, required=False, default=MOST_AT_ONCE)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        unknown = set(self.initial_data) - set(self.fields)
        if unknown:
            # A name may hold what no answer can be encoded with.
            names = [name.encode("ascii", "backslashreplace").decode() for name in sorted(unknown)]
            raise serializers.ValidationError(dict.fromkeys(names, "There is no such filter."))
        return attrs


class RetriedSerializer(serializers.Serializer[Any]):
    retried = serializers.IntegerField(min_value=0)


class DiscardSerializer(serializers.Serializer[Any]):
    reason = Line(max_length=200, help_text="Why nobody needs this any more. It is kept.")
