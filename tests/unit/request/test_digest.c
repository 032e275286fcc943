#include "unit.h"

#include "request/digest.h"

#include <string.h>

/* The examples of FIPS 180-2, appendix B, and the empty text; sha256sum(1) agrees. */
static void it_is_sha_256(void **state)
{
    struct digest *digest = digest_new();
    char text[DIGEST_TEXT_BYTES];

    digest_end(digest, text);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb924");

    digest_start(digest);
    digest_add(digest, "abc", 3);
    digest_end(digest, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223");

    static const char long_one[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    digest_start(digest);
    for (size_t i = 0; i < sizeof(long_one) - 1; i++)
        digest_add(digest, long_one + i, 1);
    digest_end(digest, text);
    assert_string_equal(text, "248d6a61d20638b8e5c026930c3e6039");
    digest_free(digest);
}

static void a_start_forgets(void **state)
{
    struct digest *digest = digest_new();
    char text[DIGEST_TEXT_BYTES];

    digest_add(digest, "something", 9);
    digest_start(digest);
    digest_add(digest, "abc", 3);
    digest_end(digest, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223");
    digest_free(digest);
    digest_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_sha_256),
        cmocka_unit_test(a_start_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
