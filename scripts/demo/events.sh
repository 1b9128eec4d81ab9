# shellcheck shell=bash disable=SC2154 # probe, folder and the like are the demo's
#
# The events of the demo, what is to come of each, and the table of what did.
# Sourced by demo.sh, which says the rest.

ids=() titles=() expected_calls=() expected_ends=()

# ---- the events

# publish ID TITLE CALLS END ROUTING_KEY BODY [PROPERTY...]
publish() {
    ids+=("$1") titles+=("$2") expected_ends+=("$4")
    expected_calls+=("${3:+$generation ${3//; /; $generation }}")
    "$probe" publish "$exchange" "$5" --message-id "$1" "${@:7}" <<<"$6"
}

# cloud_event ID TITLE CALLS END TYPE DATA [ROUTING_KEY]
cloud_event() {
    local body='{"specversion":"1.0","id":"%s","source":"/demo","time":"%s","type":"%s","data":{%s}}'
    # shellcheck disable=SC2059 # the body is the format
    body=$(printf "$body" "$1" "$(date -u +%FT%TZ)" "$5" "$6")
    publish "${@:1:4}" "${7:-$5}" "$body" --content-type application/cloudevents+json
}

# offboard ID TITLE CALLS END [DATA]
offboard() {
    cloud_event "${@:1:4}" user.offboarded \
        "${5:-"\"emailAddress\":\"$1@example.com\",\"groupIds\":[\"staff\"]"}"
}

# unblock ID TITLE CALLS END
unblock() { cloud_event "${@:1:4}" url.unblock "\"id\":\"$1\""; }

in_group() { fake POST members "{\"group\":\"$1\",\"member\":\"$2\"}"; }
in_urls() { fake POST urls "{\"id\":\"$1\"}"; }

# fault ITEM TIMES KIND: what happens to the first calls about an item.
fault() {
    fake POST faults "{\"matches\":{\"item_containing\":\"$1\"},\"times\":{\"exactly\":$2},\"kind\":{$3}}"
}

publish_for_1_0() {
    local remove=remove_group_member delete=delete_managed_url
    local not_in_group=err_folder_email_address_not_found invalid=err_validation_invalid_email_address

    in_group staff ada@example.com
    in_group sales ada@example.com
    offboard ada 'user in two groups' "$remove 200; $remove 200" ack \
        '"emailAddress":"ada@example.com","groupIds":["staff","sales"]'
    offboard gone 'user already gone' "$remove 200 $not_in_group" ack
    in_group staff old.example.com
    offboard old 'whole domain' "$remove 200" ack '"domain":"old.example.com","groupIds":["staff"]'
    fake POST groups '{"id":"id-of-named","name":"named.mailing"}'
    in_group id-of-named named@example.com
    offboard named 'group by its name' "find_groups 200; $remove 200" ack \
        '"emailAddress":"named@example.com","groups":["named.mailing"]'
    in_urls blocked
    unblock blocked 'blocked URL' "$delete 200" ack
    fake POST urls '{"id":"listed","url":"https://listed.example/page"}'
    cloud_event listed 'blocked URL by its address' "$delete 200" ack url.unblock \
        '"url":"https://listed.example/page"'
    unblock unknown 'URL already gone' "$delete 200 err_managed_url_not_found" ack

    publish no-json 'not JSON' '' 'dead_letter malformed' user.offboarded '{"emailAddress":'
    offboard no-member 'wrong fields' '' 'dead_letter malformed' '"email":"no-member@example.com"'
    cloud_event new-type 'unknown type' '' 'dead_letter unsupported' user.renamed \
        '"emailAddress":"new-type@example.com"' user.offboarded
    offboard refused 'address the API refuses' "$remove 200 $invalid" "dead_letter rejected $invalid" \
        '"emailAddress":"refused@nowhere","groupIds":["staff"]'

    in_group staff flaky@example.com
    fault flaky 2 '"type":"empty_body","status":503'
    offboard flaky 'API down for two calls' "$remove 503; $remove 503; $remove 200" ack
    in_group staff hasty@example.com
    fault hasty 1 '"type":"throttle","reset_milliseconds":200,"retry_after":null'
    offboard hasty 'quota used up' "$remove 429; $remove 200" ack
    in_group staff lost@example.com
    fault lost 1 '"type":"lose_reply"'
    offboard lost 'done, but the reply is lost' "$remove no reply; $remove 200 $not_in_group" ack
}

publish_for_2_0() {
    in_group staff late@example.com
    offboard late 'came while daemon was away' 'remove_group_member 200' ack
    in_urls bare
    publish bare 'bare body, no envelope' 'delete_managed_url 200' ack url.unblock '{"id":"bare"}'
}

# The daemon writes one line about each message that it settles.
settled_lines() { cat "$folder"/daemon-*.log | grep '"message":"settled"'; }

# A message is at its end when it is acked, be it after its dead letter.
all_settled() {
    local settled
    settled=$(settled_lines | grep -cE '"disposition":"(ack|dead_letter)"')
    ((settled >= ${#ids[@]}))
}

# ---- the table

# What the API was asked about an item, in order. It remembers calls in one line of JSON.
calls_about() {
    local call code status calls=''
    while read -r call; do
        case $(field authorization_kind "$call") in
            signature) calls+='; 1.0' ;;
            bearer) calls+='; 2.0' ;;
            *) calls+='; neither' ;;
        esac
        status=$(field status "$call") code=$(field code "$call")
        calls+=" $(field operation "$call") ${status:-no reply}${code:+ $code}"
    done < <(sed 's/},{/}\n{/g' "$folder/calls" | grep -E "\"$1[@.\"]")
    printf '%s' "${calls#; }"
}

# What became of a message: from the daemon's log, and from the headers of its dead letter.
end_of() {
    local line reason code end=''
    while read -r line; do
        end+="; $(field disposition "$line")"
    done < <(settled_lines | grep -F "\"event_id\":\"$1\"" | grep -vF '"disposition":"dead_letter"')
    while read -r line; do
        reason=$(field x-eventd-reason "$line") code=$(field x-eventd-code "$line")
        code=${code#"$reason"}
        end+="; dead_letter $reason${code:+ $code}"
    done < <(grep -F "\"message_id\":\"$1\"" "$folder/dead-letters")
    [[ -n $end ]] || end='; not settled'
    printf '%s' "${end#; }"
}

# row TITLE CALLS END: each call has a line of its own, and so has a code.
row() {
    local title=$1 calls ends line
    mapfile -t calls <<<"$(sed 's/; /\n/g; s/ err_/\n  err_/g' <<<"$2")"
    mapfile -t ends <<<"$(sed 's/; /\n/g; s/ err_/\n  err_/g' <<<"$3")"
    for ((line = 0; line < ${#calls[@]} || line < ${#ends[@]}; line++)); do
        printf '%-28s %-39s %s\n' "$title" "${calls[line]-}" "${ends[line]-}"
        title=''
    done | sed 's/ *$//'
}

print_table() {
    local index calls end
    fake GET calls >"$folder/calls"
    "$probe" drain "$dead_letters" >"$folder/dead-letters"
    printf '\n'
    row EVENT 'CALLS OF THE API' 'THE MESSAGE'
    for index in "${!ids[@]}"; do
        calls=$(calls_about "${ids[index]}") end=$(end_of "${ids[index]}")
        row "${titles[index]}" "$calls" "$end"
        [[ $calls == "${expected_calls[index]}" ]] ||
            problem "${titles[index]}: the calls should have been: ${expected_calls[index]:-none}"
        [[ $end == "${expected_ends[index]}" ]] ||
            problem "${titles[index]}: the message should have been: ${expected_ends[index]}"
    done
}

# total PATTERN sums what both daemons counted.
total() { awk -v pattern="$1" '$1 ~ pattern { sum += $2 } END { print sum + 0 }' "$folder/metrics"; }

print_metrics() {
    local acked dead_lettered
    printf '\nMETRICS of both daemons (without zeros)\n'
    awk '/^eventd_(messages_(settled|dead)|commands|api_(retries|throttled))/ { sum[$1] += $2 }
        END { for (series in sum) if (sum[series]) print series, sum[series] }' "$folder/metrics" | sort
    acked=$(total 'messages_settled.*"ack"') dead_lettered=$(total messages_dead_lettered)
    printf '\npublished %d = acked %d + dead-lettered %d\n\n' "${#ids[@]}" "$acked" "$dead_lettered"
    ((${#ids[@]} == acked + dead_lettered)) || problem "the sum is not right"
    (($(wc -l <"$folder/dead-letters") == dead_lettered)) || problem "dead letters are not as counted"
}

check_the_rest() {
    local left queue
    left=$(fake GET violations)
    [[ $left == '[]' ]] || problem "the API was not called as its protocol demands: $left"
    left="$(fake GET members) $(fake GET urls)"
    [[ $left == '{"id-of-named":[],"sales":[],"staff":[]} []' ]] || problem "not all is gone from the tenant: $left"
    for queue in "$offboarded" "$unblock"; do
        left=$("$probe" depth "$queue")
        [[ $left == 0 ]] || problem "messages wait in $queue: $left"
    done
    if grep -hE '@|demo-(access|app|client)|ZGVtby' "$folder"/daemon-*.log; then
        problem "the log shows an address or a secret"
    fi
}
