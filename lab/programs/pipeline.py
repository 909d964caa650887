"""A worker of the mail pipeline: `pipeline.py publish|scan|store URL`. Runs on the broker's host.

A message with the header `poison` cannot be worked on: it is rejected and becomes a dead letter.
"""

import json
import sys
import time

import pika


def publish(channel):
    """Two messages a second for the scanner."""
    number = 0
    while True:
        body = json.dumps({"number": number, "to": "ann@example.org"}).encode()
        channel.basic_publish("", "mail.scan", body, pika.BasicProperties(delivery_mode=2))
        channel.connection.sleep(0.5)
        number += 1


def work(channel, queue, onward):
    """Take messages from `queue`, hand them on."""

    def take(_, method, properties, body):
        if (properties.headers or {}).get("poison"):
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        if onward:
            channel.basic_publish("", onward, body, pika.BasicProperties(delivery_mode=2))
        channel.basic_ack(method.delivery_tag)

    channel.basic_qos(prefetch_count=20)
    channel.basic_consume(queue, take, consumer_tag=f"{queue}-worker")
    channel.start_consuming()


def main(role, url):
    """Connect and do one worker's work until the connection ends; systemd starts it again."""
    parameters = pika.URLParameters(url)
    parameters.client_properties = {"connection_name": f"pipeline-{role}"}
    channel = pika.BlockingConnection(parameters).channel()
    if role == "publish":
        publish(channel)
    else:
        work(channel, f"mail.{role}", {"scan": "mail.store"}.get(role))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except pika.exceptions.AMQPError as error:
        time.sleep(1)
        sys.exit(f"broker: {error!r}")
