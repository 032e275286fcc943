/* Words of commands. */
#include "unit.h"

#include "text/shell.h"

#include <stdlib.h>

static void check_word(const char *text, const char *expected)
{
    char *word = shell_word(text);
    assert_string_equal(word, expected);
    free(word);
}

static void words(void **state)
{
    check_word("/var/lib/sluice/queue.db-wal", "/var/lib/sluice/queue.db-wal");
    check_word("/mnt/my disk", "'/mnt/my disk'");
    check_word("it's", "'it'\\''s'");
    check_word("$(reboot)*", "'$(reboot)*'");
    check_word("", "''");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
