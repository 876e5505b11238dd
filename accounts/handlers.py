"""What happens when somebody has signed up. Each handler stands alone: one failing holds up no other."""

from django.conf import settings

from accounts import passwords, profile, verification
from accounts.events import CodeAsked, PasswordResetAsked, RegistrationRepeated, UserRegistered
from accounts.models import Profile, User
from accounts.registration import WELCOME, tell_known_already
from notifications.campaigns import mailing_list
from notifications.mail.letters import queue_letter
from notifications.pipeline.events import subscribe


@subscribe(UserRegistered, queue="mail")
def email_welcome(event: UserRegistered) -> None:
    user = User.objects.get(pk=event.user_id)
    context = {"user": user, "shop_url": settings.SITE_URL}
    with profile.as_read_by(user):
        queue_letter(once=f"welcome:{user.pk}", template=WELCOME, to=user.email, context=context, about=user)


@subscribe(RegistrationRepeated, queue="mail")
def email_known_already(event: RegistrationRepeated) -> None:
    tell_known_already(User.objects.get(pk=event.user_id))


@subscribe(CodeAsked, queue="mail")
def email_code(event: CodeAsked) -> None:
    verification.answer_code(request_id=event.request_id)


@subscribe(PasswordResetAsked, queue="mail")
def email_new_password(event: PasswordResetAsked) -> None:
    passwords.answer_reset(request_id=event.request_id)


@subscribe(UserRegistered)
def make_profile(event: UserRegistered) -> None:
    user = User.objects.get(pk=event.user_id)
    Profile.objects.get_or_create(user=user, defaults={"display_name": user.name})


@subscribe(UserRegistered)
def enter_mailing_list(event: UserRegistered) -> None:
    """Who ticked the box is asked by letter whether it was them."""
    if event.newsletter:
        user = User.objects.get(pk=event.user_id)
        mailing_list.join(email=user.email, name=user.name)
