"""The messages: commands and events, as CloudEvents 1.0.

This package needs only pydantic, and nothing of Dramatiq, AMQP, HTTP or a database, so that clients of the workers can
import it. They use `messages.sdk`.
"""
