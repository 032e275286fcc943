/* config/keys_http.h - the keys of [http], one row each; see config/keys.h. */

KEY(listen, listen, listens, .required = true, .repeatable = true, .example = "0.0.0.0:8118\n[::]:8118",
    .brief = "An address and a port to listen on.",
    .text = "`0.0.0.0` stands for all IPv4 addresses of this machine, and `[::]` for all IPv6 addresses.")

KEY_OF_ROUTE(backend, backend, backend, .none = "the only backend", .example = "garden",
             .brief = "The name of the backend. It is needed where there are several.")

KEY(allow, allow, allow, .repeatable = true, .none = "everyone who can reach the port",
    .example = "192.168.0.0/16, 10.0.0.0/8\nfd00::/8",
    .brief = "Addresses and ranges of clients that may connect, separated by commas.",
    .text = "Every client that may connect uses the secrets that sluice adds to requests.")

KEY_OF_ROUTE(query, query, query, .repeatable = true, .example = "site=greenhouse",
             .brief = "A parameter of every request, as in [backend].",
             .text = "It follows the parameters that the client sent, and precedes those of the backend. A "
                     "parameter that the client sends itself is not changed.")

KEY_OF_ROUTE(content_type, content_type, content_type, .none = "that of the client",
             .example = "application/json", .brief = "The content type of requests.",
             .text = "Where the client sent none, it is derived from the message, as in [route].")

KEY_OF_ROUTE(body, body, body, .initial = "raw", .brief = "As in [route].")

KEY_OF_ROUTE(
    add, add, add, .repeatable = true, .example = "host={1}, timestamp={received_s}",
    .brief = "As in [route]. {1} is the address of the client.",
    .text = "The levels of a topic such as `192.168.1.20/api/collections/sensor` are: `{1}` the address of "
            "the client, `{2}` the word `api`, and so on.")

KEY_OF_ROUTE(not_object, not_object, not_object, .initial = "dead", .brief = "As in [route].")

KEY_OF_ROUTE(repair, yes_no, repair, .initial = "no", .brief = "As in [route].")

KEY_OF_ROUTE(on_status, on_status, on_status, .repeatable = true, .example = "404:hold",
             .brief = "As in [backend], for this section. It takes precedence over that of the backend.")

KEY_OF_ROUTE(expect_body, text, expect_body, .max = "4096", .example = "\"stored\"",
             .brief = "As in [backend], for this section. It takes precedence over that of the backend.")

KEY_OF_ROUTE(html, html, html_ok, .initial = "warn",
             .brief = "As in [backend], for this section. `ok` in one of the two sections suffices.")

KEY(accepted_status, number, accepted_status, .initial = "202", .min = "200", .max = "299",
    .brief = "The status of the response once a message is on the disk. Some clients insist on 200.")

KEY(passthrough, yes_no, passthrough, .initial = "yes",
    .brief = "Whether GET and HEAD are passed on to the backend while the client waits.",
    .text = "With `no`, the response to them is 405.")

KEY(passthrough_size, size, passthrough_size, .initial = "1M", .min = "1K", .max = "64M",
    .brief = "How large a response to a GET is at most.")

KEY(passthrough_requests, number, passthrough_requests, .initial = "8", .min = "1", .max = "100",
    .brief = "How many GET and HEAD requests are passed on at once.")

KEY(max_body, size, max_body, .initial = "1M", .min = "1K", .max = "16M",
    .brief = "How large the body of a request is at most. A larger one is refused (413).")

KEY(max_connections, number, max_connections, .initial = "256", .min = "1", .max = "10000",
    .brief = "How many connections there are at most.",
    .text =
        "A further one takes the place of the connection that has waited longest for a whole request. "
        "It waits while each connection has a request that is being dealt with. Each connection needs a "
        "file descriptor: `sluice check` reports an error if the system allows fewer than sluice may need.")

KEY(max_connections_per_client, number, max_connections_per_client, .initial = "64", .min = "1",
    .max = "10000", .brief = "How many connections one address has at most.",
    .text = "A further one takes the place of the connection of this address that has waited longest for a "
            "whole request. It is closed if there is none.")

KEY(timeout, duration, timeout_ms, .initial = "30s", .min = "1s", .max = "10m",
    .brief = "How long a request takes to arrive at most.",
    .text = "The next request on the same connection must begin within the same time.")
