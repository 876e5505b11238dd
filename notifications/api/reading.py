"""What a client may send us: JSON of bounded size and depth, with values of exactly the types we ask for."""

import unicodedata
from typing import Any, Final

from django.conf import settings
from rest_framework import parsers, serializers
from rest_framework.exceptions import APIException, ParseError

_BREAKS: Final = ("Cc", "Zl", "Zp")  # Unicode's classes of control characters, line and paragraph separators


class TooLarge(APIException):
    status_code = 413


class JSONParser(parsers.JSONParser):
    """DRF's, which by itself reads a body of any size and falls over one that is nested too deep."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if int(parser_context["request"].META.get("CONTENT_LENGTH") or 0) > limit:
            raise TooLarge(f"A request may have {limit} bytes at most.")
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deep") from error


class Text(serializers.CharField):
    """A string, and nothing that could be taken for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Line(Text):
    """A string of one line: it may end up in a mail's header or on a label."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if any(unicodedata.category(character) in _BREAKS for character in text):
            raise serializers.ValidationError("May not contain line breaks or control characters.", code="breaks")
        return text


class EmailLine(Line, serializers.EmailField):
    """An e-mail address."""


class Whole(serializers.IntegerField):
    """A JSON integer: not true, not "1", not 1.0."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(data)


class Flag(serializers.BooleanField):
    """true or false: not "yes", not 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data
