#include "config/config_text.h"

#include "config/file.h"

#include <stdio.h>
#include <unistd.h>

/* The parser does not know the machine, but who reads the file does. */
static void a_file_has_the_name_of_the_machine(void **state)
{
    static const char text[] = BACKEND ROUTE;
    char dir[] = "/tmp/sluice-config-XXXXXX", name[256] = "";
    struct config_errors errors = {0};

    assert_non_null(mkdtemp(dir));
    cleanup_free char *path = xasprintf("%s/sluice.conf", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct config *config = config_file_load(path, &errors);
    unlink(path);
    rmdir(dir);
    assert_non_null(config);
    assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
    assert_string_equal(config->gateway, name);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_the_name_of_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
