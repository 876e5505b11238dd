"""What a person tells us about themselves."""

from accounts.models import Profile, User


def change(*, user: User, display_name: str, locale: str, time_zone: str) -> None:
    """Kept also where the profile, which a handler makes after registration, is not there yet."""
    said = {"display_name": display_name, "locale": locale, "time_zone": time_zone}
    Profile.objects.update_or_create(user=user, defaults=said)
