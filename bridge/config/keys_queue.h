/* config/keys_queue.h - the keys of [queue], one row each; see config/keys.h. */

KEY(path, path, path, .initial = "/var/lib/sluice/queue.db", .restart = true, .brief = "The database.")

KEY(commit_batch, number, commit_batch, .initial = "1000", .min = "1", .max = "65535", .restart = true,
    .brief = "How many messages one commit stores at most.",
    .text = "It is also the number of messages that can be on their way from the broker without an "
            "acknowledgement.")

KEY(commit_delay, duration, commit_delay_ms, .initial = "0s", .min = "0s", .max = "10s", .restart = true,
    .brief = "How long sluice waits after a commit before it begins the next one. This spares an SD card.",
    .text = "The messages that arrive meanwhile share the next commit. Until then they wait at the broker "
            "without an acknowledgement: they arrive later, but they are just as safe. After a full batch "
            "(`commit_batch`), sluice does not wait. The delay must not be longer than half of `keepalive`.")

KEY(max_size, size, max_size, .initial = "1G", .min = "16M", .max = "1T",
    .brief = "How much space the queue takes on the disk at most.",
    .text = "This counts the pages of the database, dead letters included, and its write-ahead log, which "
            "takes about 4M. The last 2M are kept for messages in flight. A reserve file of 8M beside the "
            "database, which sluice deletes when the disk is full, is not counted.")

KEY(max_messages, number, max_messages, .none = "no limit", .min = "1", .max = "1000000000",
    .example = "100000", .brief = "How many messages wait at most. Dead letters do not count.")

KEY(max_dead, size, max_dead, .none = "a tenth of max_size", .min = "1M", .max = "1T", .example = "100M",
    .brief = "How much space dead letters take at most. The oldest are dropped.",
    .text = "Dead letters never keep messages out of the queue. Where they exceed this limit, the oldest are "
            "dropped. They are also dropped when the queue is nearly full by max_size or min_free, "
            "before sluice holds or drops messages. The dead letters that hold a route become messages "
            "again, so they are dropped last. Dropped dead letters are counted (table `dropped`, reason "
            "`max_dead`) and logged.")

KEY(max_dead_messages, number, max_dead_messages, .none = "no limit", .min = "1", .max = "1000000000",
    .example = "10000", .brief = "How many dead letters are kept at most. The oldest are dropped.")

KEY(max_age, duration, max_age_ms, .none = "no limit", .min = "1m", .max = "36500d", .example = "30d",
    .brief = "How long a message waits at most. After that it is dropped and counted.",
    .text = "The age of a message is the time that the machine has run since the message was received. A "
            "message that was received before the last start of the machine is dropped only if the clock "
            "was right when it was received and is right now. Messages in flight and dead letters are not "
            "dropped, but a dead letter that `sluice queue retry` brings back is a waiting message again.")

KEY(min_free, size, min_free, .initial = "64M", .min = "0", .max = "1T",
    .brief = "About how much space stays free on the disk.")

KEY(when_full, when_full, when_full, .initial = "hold",
    .brief = "What happens when max_size, max_messages or min_free is reached.",
    .text = "- `hold`: sluice takes no more messages from the broker until a twentieth of the limit is "
            "free again. Messages wait at the broker, up to the limits of the broker.\n"
            "- `drop-oldest`: the oldest messages are dropped.\n"
            "- `drop-newest`: new messages are acknowledged, but not stored.\n\n"
            "Before sluice holds or drops messages, it drops dead letters (see max_dead). "
            "Dropped messages are counted (table `dropped`, view `summary`) and logged. When the disk "
            "itself is full or fails, sluice always holds.")

KEY(clock, clock, trust_clock, .initial = "kernel", .restart = true,
    .brief = "How sluice knows whether the wall clock is right.",
    .text = "- `kernel`: the clock is right when the kernel reports it, which an NTP daemon makes it do. "
            "sluice also understands chrony without `rtcsync` in `chrony.conf`.\n"
            "- `trust`: the clock is always right. This is for a container whose host keeps the clock "
            "right but does not report it.\n\n"
            "Where the clock does not become right, the log and `sluice status` report the reason and the "
            "remedy.")
