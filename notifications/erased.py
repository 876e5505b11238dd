"""What stands where an e-mail address was: nobody can be written to there (RFC 2606), and everybody sees why."""

from typing import Final

DOMAIN: Final = "erased.invalid"


def address(reference: str) -> str:
    """For "user:5" it is user-5@erased.invalid: one of its own, for columns that are unique."""
    return f"{reference.replace(':', '-')}@{DOMAIN}"


def is_erased(email: str) -> bool:
    return email.endswith(f"@{DOMAIN}")
