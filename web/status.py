"""The HTTP status of each family of refusals: the same for systems and for pages."""

STATUS_OF_FAMILY = {"malformed": 422, "forbidden": 403, "missing": 404, "conflict": 409, "busy": 503}
