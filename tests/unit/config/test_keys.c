/* The rows of the keys, and the files for people that are generated from them:
 *
 *     build/dev/tests/unit/test_config_keys --write
 *
 * writes config/sluice.conf and config/man/sluice.conf.5 anew. */
#include "config/config_text.h"
#include "config/manual.h"

#include "config/keys.h"

#include <ctype.h>
#include <stdio.h>

/* ---- the files ---- */

/* A file, and the part of it that is generated. */
struct generated {
    const char *path;
    const char *from; /* the line that begins it */
    const char *to;   /* the line that follows it; NULL: it goes to the end of the file */
    void (*append)(struct buf *out);
};
static const struct generated files[] = {
    {SLUICE_SOURCE "/config/sluice.conf", "; ---- [daemon] ----\n", NULL, manual_example},
    {SLUICE_SOURCE "/config/man/sluice.conf.5", ".Ss [daemon]\n", ".\\\" The generated part ends here.\n",
     manual_page},
};

static void read_file(const char *path, struct buf *out)
{
    char text[4096];
    size_t bytes;
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    while ((bytes = fread(text, 1, sizeof(text), file)) > 0)
        buf_append(out, text, bytes);
    fclose(file);
}

/* Reads the file, and makes what it should contain. */
static void regenerate(const struct generated *generated, struct buf *now, struct buf *wanted)
{
    read_file(generated->path, now);
    const char *text = buf_text(now), *from = strstr(text, generated->from);
    const char *to = generated->to ? strstr(text, generated->to) : text + now->bytes;

    assert_non_null(from);
    assert_non_null(to);
    buf_append(wanted, text, (size_t)(from - text));
    generated->append(wanted);
    buf_append_text(wanted, to);
    assert_false(buf_overflowed(now) || buf_overflowed(wanted));
}

static void example_and_manual_have_every_key(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct buf now cleanup_buf, wanted cleanup_buf;

        buf_init(&now, 1 << 20);
        buf_init(&wanted, 1 << 20);
        regenerate(&files[i], &now, &wanted);
        const char *a = buf_text(&now), *b = buf_text(&wanted);
        unsigned line = 1;
        for (; *a && *a == *b; a++, b++)
            line += *a == '\n';
        if (*a || *b)
            fail_msg("%s:%u is not what the rows in bridge/config/keys_*.h say: run this test with --write",
                     files[i].path, line);
    }
}

static int write_files(void)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct buf now cleanup_buf, wanted cleanup_buf;

        buf_init(&now, 1 << 20);
        buf_init(&wanted, 1 << 20);
        regenerate(&files[i], &now, &wanted);
        FILE *file = fopen(files[i].path, "w");
        if (!file || fwrite(buf_text(&wanted), 1, wanted.bytes, file) != wanted.bytes || fclose(file) != 0)
            return 1;
    }
    return 0;
}

/* ---- the rows ---- */

typedef void visit_fn(const struct config_keys *table, const struct config_key *key);

static void each_key(visit_fn *visit)
{
    for (size_t kind = 0; kind < CONFIG_KIND_COUNT; kind++)
        for (size_t i = 0; i < config_keys[kind].count; i++)
            visit(&config_keys[kind], &config_keys[kind].keys[i]);
}

static void check_key(const struct config_keys *table, const struct config_key *key)
{
    const char *fault = NULL;

    if (!isupper((unsigned char)key->brief[0]) || key->brief[strlen(key->brief) - 1] != '.')
        fault = "its brief is not a sentence";
    else if (!key->example && !(key->initial && *key->initial))
        fault = "it has neither a default nor an example";
    else if ((key->required || key->suggested) && !key->example)
        fault = "it has no example";
    else if (key->min && !key->max)
        fault = "its range has no end";
    else if ((key->restart || table->restart) && key->type->done && !key->type->equal)
        fault = "its type cannot be compared";
    if (fault)
        fail_msg("[%s] %s: %s", table->word, key->name, fault);
}

static void rows_are_complete(void **state)
{
    each_key(check_key);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_and_manual_have_every_key),
        cmocka_unit_test(rows_are_complete),
    };
    if (count == 2 && strcmp(arguments[1], "--write") == 0)
        return write_files();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
