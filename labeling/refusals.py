"""Why Kwise says no. Services raise these with a sentence for the reader; `labeling.api` and the middleware answer."""

from __future__ import annotations


class Refusal(Exception):
    """What was asked cannot be done as it was asked. The message says what was wrong and what to do."""

    status = 400
    code = "invalid"

    def __init__(self, message: str, **detail: object) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class NotAllowed(Refusal):
    """This person may not do this."""

    status = 403
    code = "not_allowed"


class NotFound(Refusal):
    """There is no such thing, or it is somebody else's, which must look the same."""

    status = 404
    code = "not_found"


class Conflict(Refusal):
    """It clashes with what is there already."""

    status = 409
    code = "conflict"


class TooMany(Refusal):
    """Too often in too short a time."""

    status = 429
    code = "too_many"


class TryLater(Refusal):
    """Something outside Kwise does not answer at the moment."""

    status = 503
    code = "try_later"
