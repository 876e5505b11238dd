"""Where a request came from is what a trusted proxy says, and never what a stranger says."""

import pytest
from django.http import HttpResponse

from notifications import correlation


@pytest.mark.parametrize(
    ("trusted", "said", "believed"),
    [
        (0, "203.0.113.9", "198.51.100.1"),  # nobody is trusted: whoever asks is our peer
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.0.0.1, 203.0.113.9", "203.0.113.9"),  # the first one is what the stranger wrote
        (2, "203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "198.51.100.1"),  # fewer proxies than there must be: came past them
        (1, "", "198.51.100.1"),
    ],
)
def test_only_as_many_proxies_as_stand_there_are_believed(rf, settings, trusted, said, believed):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = trusted
    headers = {"HTTP_X_FORWARDED_FOR": said} if said else {}
    seen = []

    def answer(request):
        seen.append(correlation.address())
        return HttpResponse()

    correlation.CorrelationMiddleware(answer)(rf.get("/", REMOTE_ADDR="198.51.100.1", **headers))

    assert seen == [believed]
