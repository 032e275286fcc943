/* config/keys_broker.h - the keys of [broker], one row each; see config/keys.h. */

KEY(host, host, host, .initial = "localhost", .brief = "The name or the address of the broker.")

KEY(port, number, port, .initial = "1883", .min = "1", .max = "65535",
    .brief = "The port of the broker. With TLS the default is 8883.")

KEY(client_id, text, client_id, .initial = "sluice", .brief = "The name of sluice's session at the broker.",
    .text =
        "Under this name the broker keeps the messages that arrive while sluice is away. Two clients "
        "of one broker must not have the same name: they would end each other's connections. sluice status "
        "reports that.")

KEY(username, text, username, .example = "sluice", .live = true,
    .brief = "The user name at the broker. It needs password.")

KEY(password, secret, password, .example = "@/etc/sluice/broker_password", .live = true,
    .brief = "The file that contains the password at the broker.")

KEY(tls, yes_no, tls, .initial = "no", .brief = "Whether sluice connects to the broker with TLS.",
    .text = "A `ca_file` turns TLS on, too. `tls = yes` without a `ca_file` trusts the certification "
            "authorities of the system.")

KEY(ca_file, file, ca_file, .example = "/etc/sluice/broker_ca.pem", .none = "those of the system",
    .brief = "The certification authority to trust. It turns TLS on.")

KEY(cert_file, file, cert_file, .example = "/etc/sluice/client.pem",
    .brief = "A client certificate, for brokers that ask for one. It needs key_file.")

KEY(key_file, file, key_file, .example = "/etc/sluice/client.key",
    .brief = "The key of the client certificate.",
    .text = "The key must not need a passphrase, because nobody is there to type it.")

KEY(keepalive, seconds, keepalive_s, .initial = "60s", .min = "5s", .max = "65535s",
    .brief = "How soon sluice notices a dead connection.")

KEY(session_expiry, expiry, session_expiry_s, .initial = "30d", .min = "1s", .max = "36500d",
    .brief = "How long the broker keeps the session, and with it the messages, while sluice is away.",
    .text = "With `never`, the session does not expire. This key needs MQTT 5; with MQTT 3.1.1, the "
            "settings of the broker decide.")

KEY(protocol, mqtt_version, protocol, .initial = "auto", .brief = "The version of MQTT.",
    .text =
        "`auto` is MQTT 5, or MQTT 3.1.1 where the broker refuses MQTT 5. A broker that only closes the "
        "connection gets MQTT 3.1.1 unless it had MQTT 5 before, because port forwarders do the same while "
        "a broker starts.")
