#!/usr/bin/env bash
#
# Publishes that somebody left by RabbitMQ's management API, and says whether a
# queue has it. For trials and for the few: that API is not made for many.
#
# usage: offboard.sh ADDRESS GROUP
#
# MANAGEMENT_URL is the API with user and password, such as
# http://guest:guest@127.0.0.1:15672; the exchange is AMQP_EXCHANGE (events).

set -euo pipefail

address=$1 group=$2
id=$(cat /proc/sys/kernel/random/uuid)
event=$(printf '{"specversion":"1.0","id":"%s","source":"/hr","type":"user.offboarded","time":"%s","data":{"emailAddress":"%s","groups":["%s"]}}' \
    "$id" "$(date --utc +%Y-%m-%dT%H:%M:%SZ)" "$address" "$group")
# The event is a text within the request: its quotes are escaped once more.
request=$(printf '{"routing_key":"user.offboarded","payload_encoding":"string","payload":"%s","properties":{"delivery_mode":2,"content_type":"application/cloudevents+json","message_id":"%s"}}' \
    "${event//\"/\\\"}" "$id")
reply=$(curl --silent --show-error --fail --header 'content-type: application/json' --data "$request" \
    "$MANAGEMENT_URL/api/exchanges/%2f/${AMQP_EXCHANGE:-events}/publish")
# It answers 200 for a message that no queue took, too.
[[ $reply == '{"routed":true}' ]] || {
    printf 'no queue is bound: the event would be lost\n' >&2
    exit 1
}
printf '%s\n' "$id"
