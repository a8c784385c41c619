"""What happens when a page fails outside of any handler of ours: it is logged, and the person gets a reference."""

# Reflex evaluates these handlers' annotations where their names are not known: they must not be strings.
import reflex as rx
from reflex.event import EventSpec

from components.texts import t
from services.core import tracing
from services.core.ids import new_secret
from services.core.logs import get_logger

log = get_logger(__name__)

BROWSER_FAULT_CHARACTERS_MAX = 4_000


def on_browser_fault(exception: Exception) -> None:
    """A script error that a browser reports. Its text comes from outside and is cut."""
    log.error("browser_fault", detail=str(exception)[:BROWSER_FAULT_CHARACTERS_MAX])


def on_server_fault(exception: Exception) -> EventSpec:
    """A fault of Reflex itself, or of a payload that fits no handler; our handlers end their own."""
    reference = tracing.current_trace_id() or new_secret()[:16]
    log.error("page_fault", reference=reference, exc_info=exception)
    return rx.toast.error(t("fault.title"), description=t("fault.text", reference=reference))
