/* config/values.h - the types of keys, and what the files that define them share. */
#ifndef SLUICE_CONFIG_VALUES_H
#define SLUICE_CONFIG_VALUES_H

#include "config/internal.h"

#define TYPE(name, c_type) extern const struct config_type config_type_##name;
#include "config/types.h"
#undef TYPE

/* Defines a type: DEFINE_TYPE(order, .set = ...). */
#define DEFINE_TYPE(name, ...)                                                                               \
    const struct config_type config_type_##name = {.bytes = sizeof(config_field_##name), __VA_ARGS__}
/* ... whose field is a char *. */
#define DEFINE_TEXT_TYPE(name, setter)                                                                       \
    DEFINE_TYPE(name, .set = setter, .done = config_text_done, .equal = config_text_equal)

void config_text_done(void *field);
bool config_text_equal(const void *one, const void *other);
/* Replaces the text in the field, which takes over this one. */
void config_text_set(const struct config_value *value, char *text);

/* For types with choices: sets a bool or an enum to the index of the choice. */
void config_choice_set(const struct config_value *value);

/* Reports "KEY = VALUE: message" at the line that is being read. An error must not quote
 * what may be a secret: a password that was written into the file itself is one. */
void config_value_error(const struct config_value *value, const char *format, ...) PRINTF_LIKE(2, 3);

/* Fetches the secret that reference, "@...", names. NULL: it was reported why there is
 * none, without the secret in the message. "": the same, as a fault (config/internal.h). The caller
 * frees it. */
char *config_value_secret(const struct config_value *value, const char *reference);

/* These bytes without blanks at their ends; the caller frees the copy. */
char *config_trimmed(const char *text, size_t bytes);

#endif
