/* config/keys_route.h - the keys of [route NAME], one row each; see config/keys.h. */

KEY(topic, topic, topics, .required = true, .suggested = true, .repeatable = true,
    .example = "garden/+/sensor\ngreenhouse/#",
    .brief = "A topic filter: + stands for one level, and # at the end for all levels that follow.",
    .text = "MQTT has no other wildcards: a filter with a `*`, or with a `!` at its start, is an error.")

KEY(except, except, except, .repeatable = true, .none = "nothing", .example = "greenhouse/bridge/#",
    .brief = "A topic filter: the route leaves out the messages whose topics it matches.",
    .text =
        "Other routes may take them. The broker sends them all the same, and `sluice status` counts those "
        "that no route takes.")

KEY(formerly, text, formerly, .none = "nothing", .example = "beds",
    .brief = "The former name of a route that was renamed. Messages that still wait under that name belong "
             "to this route.",
    .text = "Otherwise they are held until the configuration has their route again, and newer messages are "
            "delivered before them. The key can be deleted once none of them waits. "
            "Dead letters keep the former name; a person can retry them.")

KEY(backend, backend, backend, .none = "the only backend", .example = "garden",
    .brief = "The name of the backend. It is needed where there are several.")

KEY(path, path_template, path, .initial = "", .none = "nothing", .example = "/collections/{3}",
    .brief = "The path that follows the url of the backend. {2} is the second level of the topic.",
    .text = "Levels are percent-encoded. With `/collections/{3}`, a message with the topic "
            "`garden/wino-1/sensor` is posted to `https://garden.example.org/api/collections/sensor`. A "
            "message whose level there is empty, `.` or `..` is never sent: it becomes a dead letter.")

KEY(ack_topic, topic_template, ack_topic, .none = "no acknowledgements", .suggested = true,
    .example = "garden/{2}/ack",
    .brief = "Where devices that number their readings (sketches/) learn which readings are stored.",
    .text = "The topic is made of levels of the message's topic. No route may have this topic itself, and "
            "Mosquitto must allow both sides to use it (`/etc/mosquitto/sluice.acl`). This key does not "
            "affect messages without a number. sluice-devices(7) describes the protocol.")

KEY(content_type, content_type, content_type, .none = "derived from the message",
    .example = "application/json", .brief = "The content type of requests.",
    .text =
        "By default it is what the sender named (MQTT 5), if the message is sent as it is. Otherwise it is "
        "`application/json` where the message is JSON, `text/plain` where it is UTF-8 "
        "text, and otherwise `application/octet-stream`. For a batch it is `application/json` or "
        "`application/x-ndjson`.")

KEY(retained, retained, retained, .initial = "report",
    .brief = "Whether messages that the broker had retained are forwarded, too.",
    .text =
        "`yes` forwards them. `no` does not. `report` does not either, and sluice status reports those that "
        "came: "
        "`no` says that this is right.\n\n"
        "The broker sends these when sluice subscribes to a filter for the first time; with MQTT 3.1.1, each "
        "time that it connects, and sluice drops them then. They have the header `Sluice-Retained: yes`. "
        "sluice "
        "asks for MQTT 5 retain handling 1 and no \"retain as published\", so a live message comes without "
        "the retain flag. If a broker or bridge leaves the flag on live messages, sluice forwards them all "
        "the "
        "same, because they come later than the retained ones: with MQTT 5, at any time but the first "
        "moments of "
        "a new filter; with MQTT 3.1.1, at any time but the first moments of a connection.")

KEY(silent_after, expiry, silent_after_s, .initial = "1h", .min = "1s", .max = "36500d",
    .brief = "When sluice status reports that no message matches a topic of the route, though messages "
             "match other topics.",
    .text = "A topic with a spelling error, or one that the ACL of the broker hides, gets nothing. The time "
            "begins with the first message of another topic. Where a message matched the topic before sluice "
            "started, the time is 7 days, or longer. `never` is for a route whose messages are rare.")

KEY(order, order, order, .initial = "topic",
    .brief = "What stays in order: the messages of each topic, of the whole route, or none.",
    .text = "The less order, the more requests are made at once.\n"
            "- `topic`: each topic has one request in flight. A `batch` takes messages of all topics with "
            "the same URL.\n"
            "- `route`: the route has one request in flight.\n"
            "- `none`: several requests are made at once, each with messages that arrived together. "
            "Messages of other routes that arrived between them count towards the size of the batch.\n\n"
            "A message that fails by itself leaves the order: see `on_failure`.")

KEY(body, body, body, .initial = "raw", .brief = "What the body of a request is made of.",
    .text = "- `raw`: the message, byte for byte.\n"
            "- `json`: the message, which must be one JSON object and can gain fields (`add`). Otherwise "
            "it is not changed, not even the way its numbers are written.\n"
            "- `envelope`: a JSON object that describes the message, and has it as the member `payload`.")

KEY(add, add, add, .repeatable = true,
    .example = "host={2}, timestamp={received_s}\nsite=\"bed {1}, {2}\", version=3",
    .brief = "Fields that the JSON object gains: NAME=VALUE, separated by commas.",
    .text = "It needs `body = json` or `body = envelope`. A field that the object has already is not "
            "changed. A value can have references:\n"
            "- `{1}` to `{99}`: a level of the topic.\n"
            "- `{topic}`: the whole topic.\n"
            "- `{key}`: the key of the message, which every retry repeats.\n"
            "- `{gateway}`: the name of this machine.\n"
            "- `{received}`: when sluice received the message, such as 2026-11-22T17:33:16.123Z.\n"
            "- `{received_s}`, `{received_ms}`: the same as a number of seconds or milliseconds since "
            "1970.\n"
            "- `{measured_s}`: the same in seconds, less the milliseconds of the object's member `age`.\n"
            "- `{age_ms}`: how many milliseconds ago sluice received the message.\n"
            "- `{clock}`: `synchronised`; or `unsynchronised` where the clock was wrong when the message "
            "was received, and `{received}` cannot be relied on.\n"
            "- `{late_since}`: where the message waited at the broker while sluice was away: it was "
            "published between this time and `{received}`.\n"
            "- `{retained}`: true if the broker had retained the message before sluice subscribed, "
            "otherwise false.\n"
            "- `{content_type}`: the content type that the sender named (MQTT 5 or HTTP).\n"
            "- `{user.NAME}`: the user property of this name (MQTT 5). If it repeats, its values are joined "
            "with a comma and a blank.\n\n"
            "A value that is written as a number, true, false or null, or that is a single reference to a "
            "number or to `{retained}`, keeps this type. Every other value becomes a string. A value in "
            "double quotes is "
            "always a string; in it, a quote is written `\\\"` and a backslash `\\\\`. A brace is written "
            "`{{` or `}}`. A field that refers to something that the message does not have is left out.")

KEY(not_object, not_object, not_object, .initial = "dead",
    .brief = "With body = json: what happens to a message that is not a JSON object.",
    .text = "- `dead`: it becomes a dead letter.\n"
            "- `raw`: it is sent by itself, as it is.\n"
            "- `ignore`: it is not sent, and deleted when its turn comes. `sluice status` counts these.")

KEY(repair, yes_no, repair, .initial = "no",
    .brief = "With body = json: whether a message that is almost JSON is repaired in the request.",
    .text =
        "The queue keeps the message as it was published. Only a message that is not a JSON object is "
        "repaired, and only if it is one then:\n"
        "- `nan`: becomes `null`, as do `inf` and `infinity`, in any case and with or without a sign, but "
        "not in strings.\n"
        "- `BOM`: a UTF-8 byte order mark at the start is left out.\n"
        "- `NUL`: NUL bytes at the end are left out.\n"
        "- `Latin-1`: in strings, a byte that is not valid UTF-8 becomes the UTF-8 of its Latin-1 "
        "character.\n\n"
        "`sluice status` counts the repaired messages. Without this key, such a message is what "
        "`not_object` says, and the reason of its dead letter names the key.")

KEY(batch, number, batch, .none = "each message is a request of its own", .min = "1", .max = "1000",
    .example = "100", .brief = "How many messages one request has at most, as a JSON array.",
    .text = "It needs `body = json` or `body = envelope`. The messages of a batch go to the same URL. A "
            "message that comes alone is sent at once, and messages that wait are sent together. With "
            "`batch = 1` the body is an array of one; without this key it is not an array.")

KEY(batch_size, size, batch_size, .initial = "64K", .min = "1K", .max = "1M",
    .brief = "How large the body of a batch is at most. A larger message is sent alone.",
    .text = "After the backend has responded with 413, the limit is lower until the next reload or start.")

KEY(batch_format, batch_format, format, .initial = "array", .brief = "How a batch is written.",
    .text = "- `array`: as `[{...},{...}]`.\n"
            "- `ndjson`: one object in each line.")

KEY(linger, duration, linger_ms, .initial = "0s", .min = "0s", .max = "1h",
    .brief = "How long a batch that is not full waits for more messages.")

KEY(on_failure, on_failure, on_failure, .initial = "defer",
    .brief = "What happens to a message that fails while others are delivered.",
    .text = "- `defer`: sluice delivers those after it, and defers the message: it is tried again by "
            "itself, with growing waits. If it is delivered then, it is late.\n"
            "- `wait`: those after it wait, and the order is strict.\n\n"
            "In both cases the message becomes a dead letter after `max_attempts`, and at once if the "
            "backend rejects it.")

KEY(on_status, on_status, on_status, .repeatable = true, .example = "404:hold",
    .brief = "As in [backend], for this route. It takes precedence over that of the backend.")

KEY(expect_body, text, expect_body, .max = "4096", .example = "\"stored\"",
    .brief = "As in [backend], for this route. It takes precedence over that of the backend.")

KEY(html, html, html_ok, .initial = "warn",
    .brief = "As in [backend], for this route. `ok` in one of the two sections suffices.")
