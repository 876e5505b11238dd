"""/accounts/confirm-email/: the code from the letter."""

from typing import Any

from allauth.account.views import ConfirmEmailVerificationCodeView


class EnterCode(ConfirmEmailVerificationCodeView):
    """allauth's, that says how many tries are left."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        process = self._process
        return super().get_context_data(tries_left=process.max_attempts - process.state["failed_attempts"], **kwargs)


enter_code = EnterCode.as_view()
