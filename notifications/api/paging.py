"""Cursor pages: stable while rows arrive, and never more than 100 at once."""

from rest_framework.pagination import CursorPagination


class CursorPages(CursorPagination):
    page_size = 25
    page_size_query_param = "limit"
    max_page_size = 100
    ordering = "-id"
