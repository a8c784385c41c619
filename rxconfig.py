"""What Reflex asks for at build time and at run time. Ports and addresses are not compiled into pages."""

import reflex as rx

from matrix_app.up.same_origin import SameOrigin
from services.core.settings import settings

_settings = settings()

config = rx.Config(
    app_name="matrix_app",
    cors_allowed_origins=sorted(_settings.origins),
    trusted_proxy_hops=_settings.trusted_proxy_hops,
    # One web process keeps page state in memory; a page can be rebuilt from its URL and cookie.
    state_manager_mode=rx.constants.StateManagerMode.MEMORY,
    frontend_compression_formats=["gzip", "brotli"],
    show_built_with_reflex=False,
    telemetry_enabled=False,
    plugins=[SameOrigin()],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
