/* base/memory.c - see base/memory.h. */
#include "base/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Only mappings that are executable and not writable: their pages are the same as in the
 * file (relocated data is not executable). So nothing is lost, even when this function
 * unmaps itself. */
static void unmap_text(const char *line)
{
    unsigned long start, end; /* as long as a pointer on Linux */
    char permissions[5];
    if (sscanf(line, "%lx-%lx %4s", &start, &end, permissions) != 3)
        return;
    if (strcmp(permissions, "r-xp") == 0 && strchr(line, '/'))
        madvise((void *)start, end - start, MADV_DONTNEED);
}

void memory_trim(void)
{
    malloc_trim(0);
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return;
    char line[512];
    while (fgets(line, sizeof line, maps))
        unmap_text(line);
    fclose(maps);
}
