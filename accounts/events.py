from notifications.pipeline.events import DomainEvent


class UserRegistered(DomainEvent, name="user.registered", public=True):
    """Fires when a person has signed up, with the new user row."""

    user_id: int
    newsletter: bool


class RegistrationRepeated(DomainEvent, name="user.registration_repeated"):
    """Fires when somebody has signed up with an address that has an account."""

    user_id: int


class EmailVerified(DomainEvent, name="email.verified", public=True):
    """Fires when a person has shown that an address is theirs, at sign-up or after a change."""

    user_id: int
    address_id: int


class CodeAsked(DomainEvent, name="email.code_asked"):
    """Fires when a code is to show that an address is somebody's; also where nobody is to get one."""

    request_id: int


class PasswordResetAsked(DomainEvent, name="password.reset_asked"):
    """Fires when somebody asks for a new password, for whatever address: whose it is, is found out later."""

    request_id: int
