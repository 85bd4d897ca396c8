"""The API of what exists: sites, groups, servers, handsets and lines."""

from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.pagination import PageNumberPagination


class Pages(PageNumberPagination):
    """`{count, next, previous, results}`; `page_size` up to 1000."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000


class Conflict(APIException):
    """What is asked contradicts what is; the detail says in a sentence how."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"
