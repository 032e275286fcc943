/* The topic filters that the broker has. */
#include "queue/queue_place.h"

struct look {
    const char *filter;
    struct subscription found; /* identifier 0: it is not known */
};

static void look_at(void *context, const struct subscription *subscription)
{
    struct look *look = context;
    if (strcmp(subscription->filter, look->filter) == 0)
        look->found = *subscription;
}

static struct subscription find(struct queue *queue, const char *filter)
{
    struct look look = {.filter = filter};
    assert_int_equal(queue_subscriptions(queue, look_at, &look), 0);
    return look.found;
}

static uint32_t add(struct queue *queue, const char *filter)
{
    assert_int_equal(queue_subscription_add(queue, filter), 0);
    return find(queue, filter).identifier;
}

static void subscriptions_keep_their_identifiers(void **state)
{
    struct queue *queue = open_queue();
    uint32_t a = add(queue, "a/#"), b = add(queue, "b/+");
    assert_true(0 < a && a < b);
    assert_int_equal(add(queue, "b/+"), b);
    assert_int_equal(queue_subscription_grant(queue, "b/+", true), 0);
    queue_close(queue);
    queue = open_queue();
    assert_int_equal(find(queue, "a/#").identifier, a);
    assert_false(find(queue, "a/#").granted);
    assert_int_equal(find(queue, "b/+").identifier, b);
    assert_true(find(queue, "b/+").granted);
    assert_int_equal(queue_subscription_grant(queue, "b/+", false), 0);
    assert_false(find(queue, "b/+").granted);
    queue_close(queue);
}

/* Copies that still wait at the broker carry the identifier of their filter. */
static void an_identifier_is_never_used_again(void **state)
{
    struct queue *queue = open_queue();
    uint32_t old = add(queue, "old");
    assert_int_equal(queue_subscription_vanish(queue, "old"), 0);
    assert_int_equal(queue_subscription_unsubscribed(queue, "old"), 0);
    uint32_t next = add(queue, "next");
    assert_true(next > old);
    queue_close(queue);

    queue = open_queue(); /* nor after a restart */
    assert_true(find(queue, "old").vanished && find(queue, "old").unsubscribed);
    uint32_t again = add(queue, "old"); /* it comes back as a new one */
    assert_true(again > next);
    assert_false(find(queue, "old").vanished || find(queue, "old").granted ||
                 find(queue, "old").unsubscribed);
    assert_int_equal(queue_subscription_vanish(queue, "never seen"), 0);
    queue_close(queue);
}

static void a_removed_filter_knows_which_filters_saw_the_same_messages(void **state)
{
    struct queue *queue = open_queue();
    add(queue, "old");
    uint32_t beside = add(queue, "beside");
    assert_int_equal(queue_subscription_vanish(queue, "old"), 0);
    add(queue, "later");
    assert_int_equal(queue_subscription_vanish(queue, "old"), 0); /* it did already */
    assert_int_equal(find(queue, "old").covered_to, beside);
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(subscriptions_keep_their_identifiers),
        in_place(an_identifier_is_never_used_again),
        in_place(a_removed_filter_knows_which_filters_saw_the_same_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
