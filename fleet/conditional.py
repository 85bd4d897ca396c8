"""The API's guard against lost updates: `ETag`, `If-Match` and the `version` in what is read."""

from typing import Any

from django.db import transaction
from django.db.models import Model
from django.http import Http404
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import stale

ANY = "*"
"""`If-Match: *`: whatever it is by now."""


class Changed(APIException):
    """It is not what the asker saw."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_code = "changed"


class Unsaid(APIException):
    """A whole is replaced, and nobody says by whom it was read."""

    status_code = status.HTTP_428_PRECONDITION_REQUIRED
    default_detail = (
        "PUT replaces all of it: say in If-Match which one you read (its ETag), or * for any; or "
        "send the version that you read."
    )
    default_code = "precondition_required"


@extend_schema_field(str)
class VersionField(serializers.Field[str, Any, str, Model]):
    """The version of the thing itself; read only."""

    def __init__(self, **more: Any) -> None:
        about = "Another as soon as anything here is; send it back to change just what was read."
        super().__init__(**{"source": "*", "read_only": True, "help_text": about, **more})

    def to_representation(self, value: Model) -> str:
        return stale.version(value)


def seen(request: Request) -> str | None:
    """Return the version the asker had before them, None for whatever it is. Raises Unsaid."""
    given = request.headers.get("If-Match", "").strip()
    if not given and isinstance(request.data, dict) and "version" in request.data:
        given = str(request.data["version"])
    if not given and request.method == "PUT":
        raise Unsaid
    return None if given in ("", ANY) else given.removeprefix("W/").strip('"')


class Versioned:
    """For view sets: reads say the version; who changes gets the thing locked, as it is now.

    Their changes are made in a transaction.
    """

    def get_object(self) -> Any:
        thing = super().get_object()  # type: ignore[misc]
        request: Request = self.request  # type: ignore[attr-defined]
        if request.method not in ("PUT", "PATCH", "DELETE"):
            return thing
        try:
            return stale.held(self.get_queryset(), thing.pk, seen(request))  # type: ignore[attr-defined]
        except type(thing).DoesNotExist as gone:
            raise Http404 from gone
        except stale.Stale as changed:
            raise Changed(str(changed)) from changed

    def finalize_response(self, request: Any, response: Any, *args: Any, **more: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **more)  # type: ignore[misc]
        data = getattr(answer, "data", None)
        if isinstance(data, dict) and "version" in data and response.status_code < 300:
            answer.headers["ETag"] = f'"{data["version"]}"'
        return answer


class Conditional(Versioned):
    """For those that change and delete things as the framework does."""

    @transaction.atomic
    def update(self, request: Request, *args: Any, **more: Any) -> Response:
        answer: Response = super().update(request, *args, **more)  # type: ignore[misc]
        return answer

    @transaction.atomic
    def destroy(self, request: Request, *args: Any, **more: Any) -> Response:
        answer: Response = super().destroy(request, *args, **more)  # type: ignore[misc]
        return answer
