"""The hand-off: RabbitMQ, or the embedded broker, behind Dramatiq."""
