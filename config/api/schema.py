"""What the documentation says beyond what the code of each resource shows."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiResponse

from config.api.authentication import UserTokenAuthentication
from config.api.problems import MEDIA_TYPE, Problem

_READ = ("401", "403", "404", "406", "422", "429")
_WRITTEN = ("400", "401", "403", "404", "406", "409", "415", "422", "429")
_WORDS = {
    "400": "The body cannot be read.",
    "401": "No usable token.",
    "403": "The token or the user may not do this.",
    "404": "There is no such record within the user's reach.",
    "406": "No such format.",
    "409": "Not possible as things stand; the code says why.",
    "415": "The body is not JSON.",
    "422": "Something in the request has to be corrected.",
    "429": "Too many requests; wait as long as Retry-After says.",
}


class Schema(AutoSchema):
    """Describe each operation with the problems that it answers with."""

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        for status in _READ if self.method == "GET" else _WRITTEN:
            if status not in responses:
                said = OpenApiResponse(Problem, description=_WORDS[status])
                responses[status] = self._get_response_for_code(said, status, [MEDIA_TYPE], direction)
        return responses


class UserTokenScheme(OpenApiAuthenticationExtension):
    """Describe the token to readers of the documentation."""

    target_class = UserTokenAuthentication
    name = "userToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token that an administrator made for a user; it has the user's rights.",
        }
