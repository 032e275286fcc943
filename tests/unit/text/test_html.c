#include "unit.h"

#include "text/html.h"

#include <string.h>

static void a_page_is_known_by_its_type_or_its_beginning(void **state)
{
    assert_true(html_is("text/html; charset=utf-8", "x", 1));
    assert_true(html_is("Text/HTML", "", 0));
    assert_true(html_is(NULL, "\r\n <!DOCTYPE html><html>", 23));
    assert_true(html_is("text/plain", "<HTML>", 6));
    assert_false(html_is("application/json", "{\"a\":\"<html>\"}", 14));
    assert_false(html_is(NULL, "<htm", 4));
    assert_false(html_is(NULL, "", 0));
}

static void its_text_is_kept_without_tags(void **state)
{
    static const struct {
        const char *page, *text;
    } cases[] = {
        {"<html><head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>"
         "</center>\r\n<hr><center>nginx</center></body></html>",
         "502 Bad Gateway 502 Bad Gateway nginx"},
        {"<!DOCTYPE html><title>Error</title><body><pre>CastError: Cast to <b>Number</b>s failed<br>"
         " &nbsp; at model.js</pre>",
         "Error CastError: Cast to Numbers failed at model.js"},
        {"<style>p{}</style><p>a</p><script>if (a < b) x();</script><P>b</P>", "a b"},
        {"a<!-- <p>no</p> -->b", "a b"},
        {"1 &lt; 2 &amp;&amp; 3 &gt; 2 &quot;x&quot; &#39;y&#x27; &unknown; &",
         "1 < 2 && 3 > 2 \"x\" 'y' &unknown; &"},
        {"<p>cut off <scr", "cut off"},
        {"<p>cut off<script>x(", "cut off"},
        {"<p", ""},
        {"", ""},
        {"plain", "plain"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = html_text(cases[i].page, strlen(cases[i].page));
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_known_by_its_type_or_its_beginning),
        cmocka_unit_test(its_text_is_kept_without_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
