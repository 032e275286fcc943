/* deliver/bisect.h - how a batch that failed is taken apart. Pure.
 *
 *   1 2 3 4 5 6 7 8          rejected: somewhere in it is the one at fault
 *   1 2 3 4│5 6 7 8          its halves, one after the other
 *   1 2│3 4│5 6 7 8          the first one failed as well
 *
 * A stack of parts, the next one on top. A part is what its lane holds up to an
 * id: messages that vanish meanwhile make it smaller, and when none is left the
 * part below is next. So k bad messages in a batch of n cost at most about
 * 2k * log2(n) requests, and no message overtakes another.
 */
#ifndef SLUICE_HALVES_H
#define SLUICE_HALVES_H

#include "base/base.h"
#include "deliver/scope.h"
#include <stdbool.h>

/* Each halving adds one part, and one more each time that a batch was smaller than its
 * part, which is rare: the size that fits changes little meanwhile. */
enum { HALVES_MOST = 32 };

struct half {
    int64_t end_id;
    const struct scope *scope; /* in which it failed; NULL: the response blames it */
    uint64_t passes;           /* scope->passes then: later ones prove that it was not the scope */
    bool isolate;              /* a connection broke under it: nothing else may be on it */
};

struct halves {
    struct half parts[HALVES_MOST];
    unsigned count;
};

/* The part that the lane's first message belongs to, or NULL. The next batch ends
 * where it does. Forgets those that are done. */
const struct half *halves_next(struct halves *halves, int64_t first_id);

/* A batch of these (ascending) failed: leaves two halves, or, where one message
 * or `whole` is given, one part, which all get `like`'s scope, passes, isolate. */
void halves_split(struct halves *halves, const int64_t *ids, unsigned count, bool whole,
                  const struct half *like);

/* Whether a failure of this part would be its own: where it failed before, others
 * passed since. */
bool halves_is_to_blame(const struct half *half); /* takes NULL */

#endif
