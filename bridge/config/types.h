/* config/types.h - the types of keys: TYPE(name, C type of the field). Included several
 * times: config/config.h makes the fields' types of this list, and config/values.h the
 * declarations of what sets, frees and compares a field. */

TYPE(text, char *)
TYPE(host, char *)      /* a name or an address, without a port */
TYPE(path, char *)      /* absolute */
TYPE(file, char *)      /* the absolute path of a file that can be read */
TYPE(secret, char *)    /* the content of the file that "@FILE" names */
TYPE(number, unsigned)  /* in the range of the key, as are the following four */
TYPE(duration, int64_t) /* milliseconds */
TYPE(seconds, unsigned) /* a duration of whole seconds */
TYPE(expiry, uint32_t)  /* likewise; UINT32_MAX: never */
TYPE(size, int64_t)     /* bytes */
TYPE(yes_no, bool)
TYPE(log_level, enum log_level)
TYPE(mqtt_version, enum config_protocol)
TYPE(http_version, bool) /* true: HTTP/1.1 only */
TYPE(clock, bool)        /* true: the wall clock is always right */
TYPE(when_full, enum config_when_full)
TYPE(url, char *)  /* https://host[:port][/base], no query, no slash at the end */
TYPE(user, char *) /* for basic authentication: without ':' */
TYPE(query, struct config_pairs)
TYPE(header, struct config_pairs)
TYPE(content_type, char *)
TYPE(topic, struct config_topics)
TYPE(except, struct config_topics)
TYPE(backend, size_t) /* index into config.backends */
TYPE(path_template, struct path_template *)
TYPE(topic_template, char *) /* see message/topic_template.h */
TYPE(order, enum config_order)
TYPE(body, enum config_body)
TYPE(add, struct fields *) /* of all lines */
TYPE(retained, enum config_retained)
TYPE(not_object, enum config_not_object)
TYPE(on_failure, enum config_on_failure)
TYPE(batch_format, enum config_format)
TYPE(html, bool) /* true: a web page as a 2xx response is right */
TYPE(on_status, struct config_rules)
TYPE(listen, struct config_listens)
TYPE(allow, struct config_ranges)
