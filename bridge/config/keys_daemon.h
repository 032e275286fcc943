/* config/keys_daemon.h - the keys of [daemon], one row each; see config/keys.h. */

KEY(log_level, log_level, log_level, .initial = "info", .brief = "How much sluice logs.")

KEY(socket, path, socket, .initial = "/run/sluice/sluice.sock", .restart = true,
    .brief = "The Unix socket through which commands reach a running sluice.",
    .text = "`sluice status` and `sluice send` use it. Members of its group may do so. Where the `path` of "
            "the queue is not the default, the default of this key is that path with `-socket` appended.")
