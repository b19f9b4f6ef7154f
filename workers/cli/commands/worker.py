"""`kyb worker`: serve queues until it is stopped."""

from __future__ import annotations

import os
import signal
import threading
from queue import SimpleQueue
from types import FrameType
from typing import Annotated

import structlog
import typer

from workers.cli.bootstrap import broker_urls, open_ledger, open_storage
from workers.engine.supervisor import Supervisor
from workers.engine.worker import Worker, tune_memory
from workers.observability import logs, tracing
from workers.observability.probes import Probes
from workers.settings import Settings, SettingsError, load

log = structlog.get_logger("kyb.worker")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def worker(
    queues: Annotated[
        str | None, typer.Option(help="comma-separated; by default those of all vendors with settings")
    ] = None,
) -> None:
    """Serve queues until SIGTERM or Ctrl-C.

    RabbitMQ may be unavailable at the start: the worker retries until it connects. The ledger must be available.
    """
    tune_memory()
    configured = load()
    logs.configure(configured.log)
    open_storage(configured)
    tracing.exporter_from(os.environ)  # reports a wrong setting once, not in every process
    if not configured.embedded:
        broker_urls(configured)
    with open_ledger(configured):
        pass  # it can be reached, and its tables are those of this version
    queue_names = (
        [queue.strip() for queue in queues.split(",") if queue.strip()] if queues is not None else None
    )
    if configured.worker.processes > 1:
        Supervisor(configured, [] if queues is None else ["--queues", queues]).run(stop_event())
    else:
        _serve(configured, queue_names)


def stop_event() -> threading.Event:
    """Return an event that SIGTERM or Ctrl-C sets; a second signal ends the process at once.

    A handler that set the event itself could come while this very thread has the event's lock, and wait for ever.
    """
    stopping = threading.Event()
    signals: SimpleQueue[int] = SimpleQueue()  # takes something however it is interrupted

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        signals.put(number)

    def listen() -> None:
        signals.get()
        stopping.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping


def _serve(configured: Settings, queue_names: list[str] | None) -> None:
    tracing.start()
    server = Worker(configured, queue_names)
    if server.queues == ["kyb.control"] and queue_names is None:
        log.warning("no vendor configured, serving kyb.control only")
    try:
        probes = Probes(configured.http, server.health, [server.ledger_monitor])
    except OSError as error:
        raise SettingsError(
            f"KYB_HTTP__HOST, KYB_HTTP__PORT: cannot listen there ({error.strerror})"
        ) from None
    stopping = stop_event()
    threading.excepthook = log_thread_death
    probes.start()
    server.start()
    stopping.wait()
    log.info("stopping")
    server.stop()
    probes.stop()
    tracing.stop()


def log_thread_death(death: threading.ExceptHookArgs) -> None:
    """Log the exception that ended a thread; `/livez` fails if the process needs the thread."""
    name = death.thread.name if death.thread is not None else None
    log.error("thread died", thread=name, exc_info=death.exc_value)
