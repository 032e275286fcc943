/* base/memory.h - returns memory to the kernel after the start, or after a burst. */
#ifndef SLUICE_MEMORY_H
#define SLUICE_MEMORY_H

/* Returns the free heap (malloc_trim(3)), and unmaps pages of program text: libcurl and its
 * dozens of libraries use most of their pages only once, when they are loaded. The kernel
 * maps a page again when it is used. Cheap enough to call whenever the daemon is idle. */
void memory_trim(void);

#endif
