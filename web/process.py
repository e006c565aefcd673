"""The application as a process of its own, which is how uvicorn serves it: `web.process:create_app`."""

import gc

from fastapi import FastAPI

import telemetry
from settings import read_settings
from web import app

# How many objects a process may make before the youngest are looked through. A request of a thousand events makes some
# hundred thousand that all live until it is answered: with Python's own 700 they are looked through again and again,
# which took a third of such a request.
YOUNG_OBJECTS = 50_000


def create_app() -> FastAPI:
    """The application, settings from the environment. What has been made until now stays as long as the process, so
    the garbage collector need not look at it again.
    """
    settings = read_settings()
    telemetry.start(settings, "web")
    made = app.create_app(settings)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    return made
