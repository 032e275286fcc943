/* text/nearest.c - finds the known word with the smallest edit distance. */
#include "text/nearest.h"
#include <ctype.h>
#include <string.h>

#define WORD_MAX 64 /* a longer word matches nothing, because no known word is that long */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static int lower(char c)
{
    return tolower((unsigned char)c);
}

/* Optimal string alignment: Levenshtein's distance, except that two swapped neighbours
 * are one edit, because people often swap letters when they type. */
static size_t distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    size_t rows[3][WORD_MAX + 1]; /* the last three rows of the matrix, in turn */

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t changed = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;

            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + changed);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]) &&
                two_above[j - 2] + 1 < row[j])
                row[j] = two_above[j - 2] + 1;
        }
    }
    return rows[a_len % 3][b_len];
}

size_t nearest_find(const char *word, const char *const *known, size_t count)
{
    size_t best = SIZE_MAX, best_distance = strlen(word) / 3 + 1;

    if (strlen(word) > WORD_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (strlen(known[i]) > WORD_MAX)
            continue;
        size_t d = distance(word, known[i]);
        if (d < best_distance || (d == best_distance && best == SIZE_MAX)) {
            best_distance = d;
            best = i;
        }
    }
    return best;
}
