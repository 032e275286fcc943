/* fuzz.h - what a fuzz target gives to its driver: driver.c, or clang's libFuzzer.
 *
 * A target takes any bytes at all, and asserts what must hold for all of them.
 */
#ifndef SLUICE_TESTS_FUZZ_H
#define SLUICE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. The input is in memory of exactly its size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Inputs that get far, from which driver.c makes others; ends with one whose text
 * is NULL. */
struct fuzz_seed {
    const char *text;
    size_t bytes;
};
extern const struct fuzz_seed fuzz_seeds[];
#define FUZZ_SEED(literal)                                                                                   \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

/* Words that its parser knows, put in here and there; ends with NULL. */
extern const char *const fuzz_words[];

#endif
