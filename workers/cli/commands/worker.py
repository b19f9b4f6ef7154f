"""`kyb worker`: serve queues until told to stop."""

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
from workers.engine.memory import tune
from workers.engine.supervisor import Supervisor
from workers.engine.worker import Worker
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

    RabbitMQ may be away at the start: it is tried again until it is there. The ledger must be there.
    """
    tune()
    found = load()
    logs.configure(found.log)
    open_storage(found)
    tracing.wanted(os.environ)  # what is wrong with it is said here, once, and not by every process
    if not found.embedded:
        broker_urls(found)
    with open_ledger(found):
        pass  # it can be reached, and its tables are those of this version
    asked = [queue.strip() for queue in queues.split(",") if queue.strip()] if queues is not None else None
    if found.worker.processes > 1:
        Supervisor(found, [] if queues is None else ["--queues", queues]).run(stop_event())
    else:
        _serve(found, asked)


def stop_event() -> threading.Event:
    """An event that SIGTERM or Ctrl-C sets; the same signal once more ends the process at once.

    A handler that set the event itself could come while this very thread has the event's lock, and wait for ever.
    """
    stopping = threading.Event()
    told: SimpleQueue[int] = SimpleQueue()  # takes something however it is interrupted

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        told.put(number)

    def listen() -> None:
        told.get()
        stopping.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping


def _serve(found: Settings, asked: list[str] | None) -> None:
    tracing.start()
    served = Worker(found, asked)
    if served.queues == ["kyb.control"] and asked is None:
        log.warning("no vendor configured, serving kyb.control only")
    try:
        probes = Probes(found.http, served.health, [served.watch])
    except OSError as error:
        raise SettingsError(
            f"KYB_HTTP__HOST, KYB_HTTP__PORT: cannot listen there ({error.strerror})"
        ) from None
    stopping = stop_event()
    threading.excepthook = log_thread_death
    probes.start()
    served.start()
    stopping.wait()
    log.info("stopping")
    served.stop()
    probes.stop()
    tracing.stop()


def log_thread_death(death: threading.ExceptHookArgs) -> None:
    """A thread ended by an exception: `/livez` tells if it is missed."""
    name = death.thread.name if death.thread is not None else None
    log.error("thread died", thread=name, exc_info=death.exc_value)
