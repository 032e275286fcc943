/* json_judge.h - what JSON is by another's judgement: cJSON on the structure, and a
 * look at the spelling of every token, which shares no code with bridge/text/json.c. */
#ifndef SLUICE_TESTS_JSON_JUDGE_H
#define SLUICE_TESTS_JSON_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether all of it is one JSON text in UTF-8. */
bool json_judge(const char *text, size_t bytes);

#endif
