/* text/html.h - the text of an HTML page, for a log line. Pure.
 *
 * Servers often report an error as a page of hundreds of tags. What a person needs is its
 * title and its text. This is no parser of HTML: tags, comments, scripts and style sheets
 * are left out, the common character references are decoded, and white space collapses.
 */
#ifndef SLUICE_TEXT_HTML_H
#define SLUICE_TEXT_HTML_H

#include "base/base.h"
#include <stdbool.h>

/* Whether a response is a page. content_type: the header's value, or NULL. */
bool html_is(const char *content_type, const char *body, size_t bytes);

/* The text of the page, title first, on one line; "" where it has none. A page that is cut
 * off is fine. The caller frees it. */
char *html_text(const char *body, size_t bytes);

#endif
