/* base/memory.h - gives memory back that only the start, or a burst, needed. */
#ifndef SLUICE_MEMORY_H
#define SLUICE_MEMORY_H

/* Free heap goes back to the kernel (malloc_trim(3)), and pages of program text
 * are unmapped: most of what libcurl and its dozens of libraries map is touched
 * once, when they are loaded. What is used again is mapped again from the page
 * cache. Cheap enough for every time that nothing is to be done. */
void memory_trim(void);

#endif
