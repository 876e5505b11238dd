from notifications.pipeline.events import DomainEvent


class UserRegistered(DomainEvent, name="user.registered", public=True):
    """Fires when a person has signed up, with the new user row."""

    user_id: int
    newsletter: bool
