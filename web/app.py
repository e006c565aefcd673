"""Puts the HTTP application together: settings, database, middleware, routes. It holds no rule of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.datastructures import State
from starlette.staticfiles import StaticFiles

from ledger.engine import Database
from ledger.intake import Intake
from ports.photos import store_of
from ports.sign_on import sign_on_of
from settings import Settings, read_settings
from web import api, approvals, console, errors, photos, store
from web.api.health import PROBES, Measured, Metrics
from web.api.health import router as health
from web.console.refreshing import Refreshing
from web.csrf import CrossOriginProtection, origin_of
from web.denials import Denials, Watched
from web.description import describe
from web.headers import SecurityHeaders
from web.hygiene import Hygiene
from web.keys import Limits
from web.known_keys import KnownKeys
from web.live import Live, ends_at_once
from web.sessions import looked_up_with

# Where a collector is given (`telemetry.start`): a span for each request, none for the probes that come every second.
TRACES = TelemetryConfig(
    operation_spans=False,
    metrics=False,
    logs=False,
    auto_configure=False,
    exclude=lambda scope: scope["path"] in PROBES,
)
STATIC = Path(__file__).parent / "static"


def release() -> str:
    """The installed version, or the checkout's when Endcap runs from its folder."""
    try:
        return version("endcap")
    except PackageNotFoundError:
        return "0.1.0"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    database = Database(
        settings.require_database_url(),
        pool_size=settings.database_pool_size,
        application="endcap-web",
        sealing_keys=settings.payload_keyring,
        timeout_s=settings.database_timeout_s,
    )
    app.state.database = database
    app.state.intake = intake = Intake(database)
    app.state.live = live = Live(database)
    app.state.refreshing = refreshing = Refreshing(database)
    app.state.sessions = looked_up = looked_up_with(database)
    try:
        with ends_at_once(live):
            yield
    finally:
        await live.stop()
        await intake.close()
        await refreshing.close()
        await looked_up.close()
        await app.state.denials.close(database)
        await app.state.photos.close()
        if app.state.sign_on is not None:
            await app.state.sign_on.close()
        await database.dispose()


def equip(app: FastAPI, settings: Settings) -> None:
    """What the requests of a process share, as at its start; the routes need none of it to be put together."""
    app.state = State()
    app.state.settings = settings
    app.state.limits = Limits(settings.api_requests_per_minute)
    app.state.known_keys = KnownKeys()
    app.state.metrics = Metrics()
    app.state.denials = Denials()
    app.state.photos = store_of(settings)
    app.state.sign_on = sign_on_of(settings)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; `settings` come from the environment unless given. The database opens with the first request."""
    settings = settings or read_settings()
    app = FastAPI(
        title="Endcap",
        version=release(),
        lifespan=_lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the usual page loads scripts from elsewhere and runs inline ones
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        separate_input_output_schemas=False,
        telemetry=TRACES,
    )
    equip(app, settings)
    errors.install(app)
    app.router.routes += api.STRAIGHT
    app.include_router(api.router)
    app.include_router(health)
    # What knows its own addresses by how they begin stands before the console, which has all the others.
    app.include_router(approvals.router, include_in_schema=False)
    app.include_router(store.router, include_in_schema=False)
    app.router.routes += console.ROUTES
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    describe(app)
    # The last one added is the first to see a request.
    app.add_middleware(errors.Guarded)
    app.add_middleware(CrossOriginProtection, trusted=frozenset({origin_of(settings.base_url)}))
    app.add_middleware(Hygiene, most_bytes=partial(photos.most_bytes, settings))
    app.add_middleware(Watched)
    app.add_middleware(Measured)
    app.add_middleware(
        SecurityHeaders, asset_base=settings.asset_base, is_https=settings.base_url.startswith("https://")
    )
    return app
