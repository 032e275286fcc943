/* fuzz.h - what a fuzz target defines for its driver, which is driver.c or clang's
 * libFuzzer.
 *
 * A target accepts any bytes, and asserts what must be true for all of them.
 */
#ifndef SLUICE_TESTS_FUZZ_H
#define SLUICE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. The input is in a memory block of exactly its size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Valid inputs, from which driver.c makes others. The last entry has the text NULL. */
struct fuzz_seed {
    const char *text;
    size_t bytes;
};
extern const struct fuzz_seed fuzz_seeds[];
/* clang-format off */
#define FUZZ_SEED(literal) {literal, sizeof(literal) - 1}
/* clang-format on */

/* Tokens that the parser knows, which driver.c inserts. The last entry is NULL. */
extern const char *const fuzz_tokens[];

#endif
