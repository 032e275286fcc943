/* net/network.h - notices that the network came back: this machine got an address, or a route to the
 * internet, or a cable was plugged in. */
#ifndef SLUICE_NETWORK_H
#define SLUICE_NETWORK_H

#include <uv.h>

struct network;

/* Called by the loop, less than a second after something appeared; what goes is no news. what: for the
 * log, such as "eth0 has 192.168.1.5"; valid during the call only. May not free the struct. */
typedef void network_back_fn(void *context, const char *what);

/* Never fails: where the kernel does not report changes, it logs this, and never calls. */
struct network *network_new(uv_loop_t *loop, network_back_fn *call, void *context);
/* Takes NULL. The memory is freed when the loop has run once more. */
void network_free(struct network *network);

#endif
