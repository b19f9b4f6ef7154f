"""Send a command and wait for its outcome, with types: `python typed.py amqp://guest:guest@localhost/ file:///data/customers.csv`."""

import sys

import pika

from messages.data8 import Input, StartJob, StartJobResult
from messages.sdk import EVENTS_EXCHANGE, command_message, read_event

url, file = sys.argv[1:]
command = StartJob(workflow="CompanyCleanse", inputs={"Companies": Input(file=file)})
message = command_message(command, id="customers-2", source="/crm")
with pika.BlockingConnection(pika.URLParameters(url)) as connection:
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EVENTS_EXCHANGE, f"{message.routing_key}.*")
    channel.confirm_delivery()
    properties = pika.BasicProperties(**message.properties)
    channel.basic_publish(message.exchange, message.routing_key, message.body, properties, mandatory=True)
    print("sent customers-2", flush=True)  # noqa: T201 - your own work goes here
    for _delivery, _properties, body in channel.consume(queue, auto_ack=True):
        event = read_event(body)
        if event.job_id != "customers-2" or not event.status.ended:
            continue
        if isinstance(event.result, StartJobResult):
            for slot, output in event.result.outputs.items():
                print(f"{slot}: {output.records} records in {output.uri}")  # noqa: T201 - likewise
        sys.exit(event.error.message if event.error else 0)
