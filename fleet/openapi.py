"""What the OpenAPI schema says of every operation: who is refused, and how changes are guarded."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from fleet.conditional import Versioned

CHANGES = ("PUT", "PATCH", "DELETE")

IF_MATCH = OpenApiParameter(
    "If-Match",
    location=OpenApiParameter.HEADER,
    description="The `ETag` of what was read; `*`: whatever it is by now. Else 412. PUT needs it, "
    "or the `version` in its body: else 428.",
)
REFUSED = {
    "400": "A parameter or a field is wrong; the answer names each.",
    "401": "Nobody is logged in, or the token is none.",
    "403": "The role does not allow it.",
    "429": "Too many requests in this minute; Retry-After says when the next one begins.",
}
MISSING = {"404": "There is none."}
GUARDED = {
    "409": "It contradicts what is; the detail says how.",
    "412": "Somebody changed it since it was read.",
    "428": "Neither If-Match nor a version was sent: what would be replaced?",
}
DETAIL = {"type": "object", "additionalProperties": {}}


class Schema(AutoSchema):
    """The framework's, with what all our operations have in common."""

    def get_override_parameters(self) -> list[Any]:
        given = list(super().get_override_parameters())
        return [*given, IF_MATCH] if self._is_guarded() else given

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        told: dict[str, Any] = super()._get_response_bodies(direction)
        more = REFUSED | (MISSING if "{" in self.path else {})
        for code, description in (more | (GUARDED if self._is_guarded() else {})).items():
            content = {"application/json": {"schema": DETAIL}}
            told.setdefault(code, {"description": description, "content": content})
        return dict(sorted(told.items()))

    def _is_guarded(self) -> bool:
        return isinstance(self.view, Versioned) and self.method in CHANGES
