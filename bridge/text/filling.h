/* text/filling.h - what fills a queue, for people. */
#ifndef SLUICE_FILLING_H
#define SLUICE_FILLING_H

#include "base/base.h"

/* "312 messages wait, 20 dead letters take 1.2 MB"; freed by the caller. */
char *filling_text(int64_t waiting, int64_t dead_letters, int64_t dead_bytes);

#endif
