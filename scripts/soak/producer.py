"""Publishes the events of a soak at a steady rate, each until the broker has confirmed it."""

import http.client
import json
import time
from collections import deque

import pika
from pika.exceptions import AMQPError

from event import GROUPS, TWINS, Events
from world import PATIENCE

COPIES = 0.04  # the share of events that were published before
REMEMBERED = 300  # events that a copy is made of


class Vendor:
    """Tells the fake what there is in its tenant, over one connection."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)

    def know(self, path, what):
        self.connection.request("POST", f"/_fake/{path}", json.dumps(what))
        reply = self.connection.getresponse()
        said = reply.read()
        assert reply.status == 204, f"the fake does not take {what}: {said}"


class Producer:
    """`events` has all that were published, by their names. `url` is where the broker is."""

    def __init__(self, url, fake, seed, rate):
        self.url, self.vendor, self.mix, self.rate = url, Vendor(fake), Events(seed), rate
        self.events, self.recent, self.channel = {}, deque(maxlen=REMEMBERED), None
        for group, name in {**GROUPS, **TWINS}.items():
            self.vendor.know("groups", {"id": group, "name": name})

    def run(self, over):
        """Publishes until it is `over`. What could not be published in time is not made up for, so that an outage
        is not followed by a flood that is none of the daemon's."""
        following = time.monotonic()
        while not over.wait(max(0.0, following - time.monotonic())):
            self.publish(self.choose())
            following = max(following + 1 / self.rate, time.monotonic() - 1)
        self.close()

    def choose(self):
        if self.recent and self.mix.random.random() < COPIES:
            return self.mix.random.choice(self.recent)
        draft = self.mix.next()
        for path, what in draft.needs:
            self.vendor.know(path, what)
        self.events[draft.event.name] = draft.event
        # The large ones would take too much memory here.
        if len(draft.body) < 10_000:
            self.recent.append(draft)
        return draft

    def publish(self, draft):
        """Publishes the event again and again until the broker has confirmed it: before that nobody knows where it
        is, and it may well be there twice."""
        deadline = time.monotonic() + PATIENCE
        properties = pika.BasicProperties(**draft.properties)
        while True:
            sent = time.time()
            try:
                self.connected().basic_publish("events", draft.lane, draft.body, properties, mandatory=True)
                break
            except AMQPError:
                self.channel = None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        draft.event.sent = draft.event.sent or sent
        draft.event.times += 1

    def connected(self):
        """The channel, on a new connection if the last one broke."""
        if self.channel is None:
            parameters = pika.URLParameters(f"{self.url}?heartbeat=0&blocked_connection_timeout={PATIENCE}")
            self.channel = pika.BlockingConnection(parameters).channel()
            self.channel.confirm_delivery()
        return self.channel

    def close(self):
        if self.channel is not None:
            self.channel.connection.close()
