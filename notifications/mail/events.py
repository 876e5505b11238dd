from notifications.pipeline.events import DomainEvent


class EmailQueued(DomainEvent, name="email.queued"):
    """Fires when a letter has been written, with the change that called for it. It is not sent yet."""

    letter_id: int
    template: str


class EmailSent(DomainEvent, name="email.sent", public=True):
    """Fires when a mail server has accepted a letter. `about` is what the letter is about, as "order:17"."""

    letter_id: int
    template: str
    about: str


class EmailBounced(DomainEvent, name="email.bounced", public=True):
    """Fires when it is known that an address did not take a letter. `for_good`: it will not take another one either."""

    letter_id: int
    template: str
    about: str
    code: str
    for_good: bool
