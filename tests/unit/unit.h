/* unit.h - cmocka, the headers that it needs, and how much a slow test does. */
#ifndef SLUICE_UNIT_H
#define SLUICE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* SLUICE_LONG=1: slow tests try everything; scripts/test --long sets it. */
static inline bool tests_are_long(void)
{
    const char *value = getenv("SLUICE_LONG");
    return value && *value;
}

/* A slow test takes each test_step()th of its cases: a sanitiser makes each case slow, and
 * the dev build takes all. */
static inline unsigned test_step(void)
{
#ifdef SLUICE_SANITISED
    return tests_are_long() ? 1 : 4;
#else
    return 1;
#endif
}

/* How many these are. */
static inline unsigned test_cases(unsigned all)
{
    return all / test_step();
}

#endif
