/* driver.c - runs a fuzz target on inputs made from its seeds.
 *
 *     fuzz_NAME               inputs 0 to 49999
 *     fuzz_NAME FIRST COUNT   COUNT inputs, beginning with number FIRST
 *
 * An input depends only on its number and on the seeds, so a failure can be repeated. When
 * an input ends the process, its number is printed.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT      50000u
#define MOST_BYTES 1024u

/* Exists only in builds with sanitizers. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static uint64_t number; /* of the current input */

static void print_number(void)
{
    char message[80];
    int length = snprintf(message, sizeof(message), "input %" PRIu64 " failed; to repeat it: %" PRIu64 " 1\n",
                          number, number);
    if (length > 0 && write(STDERR_FILENO, message, (size_t)length) < 0)
        return; /* nobody reads it */
}

static void on_signal(int signal_number)
{
    print_number();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* -- making an input -- */

struct input {
    char data[MOST_BYTES];
    size_t bytes;
    uint64_t chance;
};

static size_t below(struct input *input, size_t bound)
{
    input->chance = input->chance * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((input->chance >> 33) % bound);
}

/* Replaces `drop` bytes at `at` by others, unless the result is too long. */
static void splice(struct input *input, size_t at, size_t drop, const char *text, size_t bytes)
{
    size_t rest = input->bytes - at - drop;
    if (at + bytes + rest > MOST_BYTES)
        return;
    char copy[MOST_BYTES]; /* the text may be a part of the input */
    memcpy(copy, text, bytes);
    memmove(input->data + at + bytes, input->data + at + drop, rest);
    memcpy(input->data + at, copy, bytes);
    input->bytes = at + bytes + rest;
}

static void mutate(struct input *input, size_t seeds, size_t tokens)
{
    size_t at = below(input, input->bytes + 1);
    size_t most = input->bytes - at;
    size_t part = most > 0 ? below(input, most < 16 ? most + 1 : 17) : 0;
    char byte = (char)below(input, 256);
    switch (below(input, 6)) {
    case 0: /* another byte */
        splice(input, at, most > 0 ? 1 : 0, &byte, 1);
        break;
    case 1: /* without a part */
        splice(input, at, part, "", 0);
        break;
    case 2: /* a part twice */
        splice(input, at, 0, input->data + at, part);
        break;
    case 3:
    case 4: /* a token inserted, or instead of a part */
        if (tokens > 0) {
            const char *token = fuzz_tokens[below(input, tokens)];
            splice(input, at, below(input, 2) ? part : 0, token, strlen(token));
        }
        break;
    default: { /* the end of a seed */
        const struct fuzz_seed *seed = &fuzz_seeds[below(input, seeds)];
        size_t from = below(input, seed->bytes + 1);
        splice(input, at, most, seed->text + from, seed->bytes - from);
    }
    }
}

static void run(uint64_t which, size_t seeds, size_t tokens)
{
    static struct input input;
    input.chance = which * 0x9e3779b97f4a7c15u + 1;
    input.bytes = 0;
    const struct fuzz_seed *seed = &fuzz_seeds[which % seeds];
    splice(&input, 0, 0, seed->text, seed->bytes);
    if (which >= seeds) /* the seeds themselves come first */
        for (size_t i = below(&input, 3) + 1; i > 0; i--)
            mutate(&input, seeds, tokens);

    uint8_t *exact = malloc(input.bytes > 0 ? input.bytes : 1);
    if (!exact)
        abort();
    memcpy(exact, input.data, input.bytes);
    LLVMFuzzerTestOneInput(exact, input.bytes);
    free(exact);
}

int main(int argc, char **argv)
{
    uint64_t first = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : COUNT;
    size_t seeds = 0, tokens = 0;
    while (fuzz_seeds[seeds].text)
        seeds++;
    while (fuzz_tokens[tokens])
        tokens++;

    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(print_number);
    for (number = first; number < first + count; number++)
        run(number, seeds, tokens);
    printf("%" PRIu64 " inputs\n", count);
    return 0;
}
