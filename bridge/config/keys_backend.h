/* config/keys_backend.h - the keys of [backend NAME], one row each; see config/keys.h. */

KEY(url, url, url, .required = true, .suggested = true, .example = "https://garden.example.org/api",
    .brief = "Where requests go. Only https:// is allowed.",
    .text = "The `path` of the route follows, and then the query.")

KEY(query, query, query, .repeatable = true, .example = "user_key=@/etc/sluice/user_key\nsource=greenhouse",
    .brief = "A parameter of every request: NAME=VALUE or, as a secret, NAME=@FILE.",
    .text = "sluice percent-encodes the value.")

KEY(header, header, headers, .repeatable = true,
    .example = "X-Api-Key: @/etc/sluice/api_key\nX-Site: greenhouse",
    .brief = "A header of every request: NAME: VALUE or, as a secret, NAME: @FILE.")

KEY(bearer, secret, bearer, .example = "@/etc/sluice/token",
    .brief = "The file that contains a bearer token for the header Authorization.",
    .text = "It excludes `username` and `password`.")

KEY(username, user, username, .example = "sluice",
    .brief = "The user name for the header Authorization. It needs password.")

KEY(password, secret, password, .example = "@/etc/sluice/backend_password",
    .brief = "The file that contains the password of this user.")

KEY(ca_file, file, ca_file, .example = "/etc/sluice/backend_ca.pem", .none = "those of the system",
    .brief = "The certification authority to trust.")

KEY(cert_file, file, cert_file, .example = "/etc/sluice/backend_client.pem",
    .brief = "A client certificate, for backends that ask for one. It needs key_file.")

KEY(key_file, file, key_file, .example = "/etc/sluice/backend_client.key",
    .brief = "The key of the client certificate.",
    .text = "The key must not need a passphrase, because nobody is there to type it.")

KEY(protocol, http_version, http1_only, .initial = "auto", .brief = "The version of HTTP.",
    .text = "`auto` is HTTP/2, or HTTP/1.1 where the backend does not support HTTP/2.")

KEY(max_in_flight, number, max_in_flight, .initial = "32", .min = "1", .max = "1000",
    .brief = "How many requests sluice makes at once over HTTP/2.")

KEY(max_connections, number, max_connections, .initial = "4", .min = "1", .max = "64",
    .brief = "How many connections sluice makes over HTTP/1.1. Each has one request at a time.")

KEY(rate, number, rate_per_s, .none = "no limit", .min = "1", .max = "1000000", .example = "100",
    .brief = "How many messages sluice sends per second at most.",
    .text = "This keeps a backlog from overloading the backend. The messages are spread evenly over the "
            "second; no second has more.")

KEY(gzip, yes_no, gzip, .initial = "no",
    .brief = "Whether bodies are compressed (Content-Encoding: gzip). Not every backend accepts that.")

KEY(timeout, duration, timeout_ms, .initial = "30s", .min = "100ms", .max = "1h",
    .brief = "How long a request and its response take at most.", .text = "From when there is a connection.")

KEY(connect_timeout, duration, connect_timeout_ms, .initial = "10s", .min = "100ms", .max = "5m",
    .brief = "How long it takes to connect at most.",
    .text = "From when the name of the host is known. Together with the look-up of the name it may take four "
            "times as long.")

KEY(retry_min, duration, retry_min_ms, .initial = "1s", .min = "10ms", .max = "1h",
    .brief = "How long sluice waits after a first failure at most.",
    .text = "After a failure, sluice waits for a random part of `retry_min`, then for a random part of "
            "twice as much, and so on up to `retry_max`.")

KEY(retry_max, duration, retry_max_ms, .initial = "5m", .min = "10ms", .max = "1d",
    .brief = "How long sluice waits after many failures at most.",
    .text =
        "It also limits the time for which the backend asks with `Retry-After`.\n\n"
        "A wait ends within a second when the network comes back (an interface gets its carrier or an "
        "address, or a default route appears), when the clock is set, or when the machine wakes up. At "
        "most three waits in 30 seconds end so, and the next one is as long as it would have been. A wait "
        "for which the backend asks, by 429 or with `Retry-After`, does not end early.")

KEY(max_attempts, number, max_attempts, .initial = "10", .min = "1", .max = "1000",
    .brief = "After how many failures a message becomes a dead letter.",
    .text = "A failure counts while other messages get through. Failures while the backend is away do not "
            "count.")

KEY(on_status, on_status, on_status, .repeatable = true, .example = "404:dead, 409:delivered, 500:dead",
    .brief = "What the status of a response means: STATUS:MEANING, separated by commas.",
    .text = "- `delivered`: the message is delivered; of a batch, all messages are.\n"
            "- `dead`: the message is bad, and becomes a dead letter.\n"
            "- `later`: sluice defers this message. At last it becomes a dead letter.\n"
            "- `retry`: the backend is away, unless another message is delivered at once: then this message "
            "is at fault, and is deferred if it fails again. While the backend is away, all messages wait.\n"
            "- `hold`: the same of the route: its configuration is wrong, unless another message is "
            "delivered.\n\n"
            "A status that is not listed has its usual meaning: 2xx is `delivered`; 408, 425, 429 and 5xx "
            "are `retry`; 401 to 405, 407, 451, 501, 505, 511 and 3xx are `hold`; 409 is `later`; every "
            "other 4xx is `dead`.")

KEY(expect_body, text, expect_body, .max = "4096", .example = "\"ok\":true",
    .brief = "Text that a 2xx response must contain for the message to be delivered.",
    .text = "sluice looks for it in the first 4096 bytes of the body. Upper and lower case differ, and "
            "quotes are part of the text. A response without the text delivers nothing: the route waits, "
            "as with the meaning `hold`.")

KEY(html, html, html_ok, .initial = "warn",
    .brief = "What a 2xx response means that is a web page (text/html).",
    .text =
        "A web page delivers the message, as any 2xx response does. But it may be the page of an error or of "
        "a "
        "login, and then the message was not stored.\n"
        "- `warn`: sluice logs an error, and `sluice status` has the problem: since when, how many messages, "
        "and "
        "the beginning of the page. The problem stays after other responses, until sluice restarts or the "
        "configuration says what is right.\n"
        "- `ok`: a web page is right.\n\n"
        "With expect_body it is known what is right, and there is no warning. expect_body is better: it also "
        "keeps the messages until the backend is repaired.")
