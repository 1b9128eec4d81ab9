#!/usr/bin/env python3
"""Publishes that somebody left, and says whether a queue has it.

usage: offboard.py ADDRESS GROUP...

The broker is the one at AMQP_URL, the exchange AMQP_EXCHANGE (events). Needs pika.
"""

import json
import os
import sys
import uuid
from datetime import datetime, timezone

import pika

address, *groups = sys.argv[1:]
event = {
    "specversion": "1.0",
    "id": str(uuid.uuid4()),
    "source": "/hr",
    "type": "user.offboarded",
    "time": datetime.now(timezone.utc).isoformat(),
    "data": {"emailAddress": address, "groups": groups},
}
properties = pika.BasicProperties(
    content_type="application/cloudevents+json",
    delivery_mode=pika.DeliveryMode.Persistent,
    message_id=event["id"],
)
with pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])) as connection:
    channel = connection.channel()
    # With confirms basic_publish waits for the broker's word, and raises what that is.
    channel.confirm_delivery()
    try:
        channel.basic_publish(
            exchange=os.environ.get("AMQP_EXCHANGE", "events"),
            routing_key="user.offboarded",
            body=json.dumps(event).encode(),
            properties=properties,
            mandatory=True,
        )
    except pika.exceptions.UnroutableError:
        sys.exit("no queue is bound: the event would be lost")
    except pika.exceptions.NackError:
        sys.exit("the broker refused it: try again later")
print(event["id"])
