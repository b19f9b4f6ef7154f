"""What travels: commands in, events out, as CloudEvents 1.0.

Nothing here knows of Dramatiq, AMQP, HTTP or a database: pydantic is all it needs, so that upstream code may
import it. `messages.upstream` has what such code wants.
"""
