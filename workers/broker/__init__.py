"""Dramatiq brokers for RabbitMQ and for one process, publishing, dead letters and the event stream."""
