"""Publish a command with pika alone: `python publish.py amqp://guest:guest@localhost/ file:///data/customers.csv`."""

import json
import sys

import pika

url, file = sys.argv[1:]
data = {"file": file, "portfolio": {"name": "Customers"}}
command = {
    "specversion": "1.0",
    "id": "customers-1",
    "source": "/crm",
    "type": "creditsafe.import_file",
    "data": data,
}
with pika.BlockingConnection(pika.URLParameters(url)) as connection:
    channel = connection.channel()
    channel.confirm_delivery()  # from here on basic_publish returns when RabbitMQ has it, or raises
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    channel.basic_publish("kyb.commands", command["type"], json.dumps(command), properties, mandatory=True)
