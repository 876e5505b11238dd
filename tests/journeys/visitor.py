"""A buyer with a browser, without the browser: keeps cookies, reads forms, sends them as they stand."""

import http.cookiejar
import urllib.error
import urllib.request
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin

from tests.rig import Answer


class Visitor:
    """Follows redirects as a browser does. They are at `url` and see `page`; `sent_on` are the redirects' headers."""

    def __init__(self, site):
        self.site, self.url, self.page = site, site, None
        self.sent_on = []
        self._cookies = http.cookiejar.CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(self._cookies)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies, _Redirects(self.sent_on))

    def twin(self):
        """The same session in another tab."""
        other = Visitor(self.site)
        other.url, other.page = self.url, self.page
        for cookie in self._cookies:
            other._cookies.set_cookie(cookie)
        return other

    def go(self, path):
        return self._open(urllib.request.Request(urljoin(self.url, path)))

    def submit(self, action, **typed):
        """Fill in and send the form that goes to `action`, hidden fields and all."""
        form = self.form(action)
        unknown = set(typed) - set(form.names)
        assert not unknown, f"the form has no field {unknown}, only {form.names}"
        return self.send(form.action, form.fields | typed)

    def form(self, action):
        """The form on this page that goes to `action`."""
        return next(form for form in self.forms() if form.action == action)

    def forms(self):
        reader = FormReader()
        reader.feed(self.page.text)
        return reader.forms

    def send(self, path, fields):
        # A browser sends both of these, and the shop's protection against forged forms looks at them.
        headers = {"Origin": self.site, "Referer": self.url}
        url = urljoin(self.url, path)
        return self._open(urllib.request.Request(url, urlencode(fields).encode(), headers, method="POST"))

    def _open(self, request):
        self.sent_on.clear()
        try:
            with self._opener.open(request, timeout=40) as answer:
                self.url = answer.url
                self.page = Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            self.url, self.page = answer.url, Answer(answer.code, answer.headers, answer.read())
        return self.page


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, seen):
        self._seen = seen

    def redirect_request(self, request, body, code, message, headers, url):
        self._seen.append(headers)
        return super().redirect_request(request, body, code, message, headers, url)


class Form:
    """What a browser would send of it now; `names` are all its fields, sent or not."""

    def __init__(self, action):
        self.action, self.fields, self.names = action, {}, []


class FormReader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms, self._in_form, self._select = [], False, None

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        if tag == "form":
            self.forms.append(Form(said.get("action", "")))
            self._in_form = True
        elif self._in_form and tag == "select":
            self._select = said.get("name")
            self.forms[-1].names.append(self._select)
        elif self._in_form and tag == "option" and "selected" in said:
            self.forms[-1].fields[self._select] = said.get("value", "")
        elif self._in_form and tag == "input" and said.get("name"):
            self._take(said)

    def handle_endtag(self, tag):
        self._in_form = self._in_form and tag != "form"

    def _take(self, said):
        self.forms[-1].names.append(said["name"])
        if said.get("type") not in ("radio", "checkbox") or "checked" in said:
            self.forms[-1].fields[said["name"]] = said.get("value", "")
