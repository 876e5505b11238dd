"""One exception to the strict content policy: the staff pages."""

from collections.abc import Callable
from typing import Final

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

# The staff pages' scripts evaluate expressions in attributes, and their colours are an inline style.
# Inline scripts stay forbidden there too.
FOR_STAFF_PAGES: Final = {"script-src": [UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}


class StaffPagesPolicy:
    """Loosens the policy of what is under the admin's address, and of nothing else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path_info.startswith(reverse("admin:index")):
            vars(response)["_csp_update"] = FOR_STAFF_PAGES  # read by CSPMiddleware, as its decorators do
        return response
