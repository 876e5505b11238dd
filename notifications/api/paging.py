"""Cursor pages: stable while rows arrive, and never more than 100 at once."""

import re
from typing import Any, Final

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

_ROW_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class CursorPages(CursorPagination):
    """Newest first, by id. The neighbours are in the body and in the `Link` header."""

    page_size = 25
    page_size_query_param = "limit"
    max_page_size = 100
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The page asked for. Raises ValidationError for a cursor we did not write: it would reach the database."""
        if not request.query_params.get(self.cursor_query_param):
            return None
        try:
            cursor = super().decode_cursor(request)
        except NotFound:
            cursor = None
        if cursor is None or not _ROW_ID.fullmatch(str(cursor.position or 0)):
            raise ValidationError({self.cursor_query_param: "This cursor is not one of ours."})
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        neighbours = {"next": self.get_next_link(), "prev": self.get_previous_link()}
        links = [f'<{url}>; rel="{name}"' for name, url in neighbours.items() if url]
        body = {"results": data, "next": neighbours["next"], "previous": neighbours["prev"]}
        return Response(body, headers={"Link": ", ".join(links)} if links else {})
