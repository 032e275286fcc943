/* test_clock_watch.c - what is done and said when the clock changes. The kernel's
 * own cancelling of the timer cannot be tried without setting the clock; what is
 * tried is how the timer is set, and that its descriptor's word is acted upon. */
#include "queue/queue_place.h"

#include "daemon/clock_watch.h"
#include "queue/internal.h"
#include <dirent.h>

static struct queue *queue;
static struct clock_watch *watch;
static uv_loop_t loop;

static unsigned times_set;

static void on_set(void *context)
{
    assert_ptr_equal(context, &times_set);
    times_set++;
}

static void start(void)
{
    queue = open_queue();
    assert_int_equal(uv_loop_init(&loop), 0);
    watch = clock_watch_new(&loop, queue, on_set, &times_set);
}

static void stop(void)
{
    clock_watch_free(watch);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    queue_close(queue);
}

/* Whether one of our descriptors is a timer with these lines in its fdinfo (proc(5)). */
static bool has_timer(const char *clock, const char *flags)
{
    bool found = false;
    DIR *dir = opendir("/proc/self/fdinfo");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        cleanup_free char *name = xasprintf("/proc/self/fdinfo/%s", entry->d_name);
        char text[512] = "";
        FILE *file = fopen(name, "r");
        if (!file)
            continue;
        size_t bytes = fread(text, 1, sizeof text - 1, file);
        text[bytes] = '\0';
        fclose(file);
        found = found || (strstr(text, clock) && strstr(text, flags));
    }
    closedir(dir);
    return found;
}

static void steps_wake_the_loop(void **state)
{
    start();
    /* CLOCK_REALTIME; TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET */
    assert_true(has_timer("clockid: 0\n", "settime flags: 03\n"));
    uv_run(&loop, UV_RUN_NOWAIT); /* and does not end by itself */
    assert_true(uv_loop_alive(&loop));
    stop();
    assert_false(has_timer("clockid: 0\n", "settime flags: 03\n"));
}

#ifdef SLUICE_FAULTS

static char clock_file[128];

static void set_clock(const char *text)
{
    put_file(clock_file, text, strlen(text));
}

static int make_clock(void **state)
{
    if (make_place(state) != 0)
        return -1;
    snprintf(clock_file, sizeof clock_file, "%s/clock", place.dir);
    set_clock("-86400000 unsynchronised");
    return setenv("SLUICE_CLOCK", clock_file, 1);
}

static int remove_clock(void **state)
{
    unsetenv("SLUICE_CLOCK");
    unlink(clock_file);
    return remove_place(state);
}

static const char *problem(void)
{
    for (size_t i = 0; i < QUEUE_PROBLEMS; i++)
        if (strcmp(queue->problems[i].name, "clock") == 0)
            return queue->problems[i].description;
    return NULL;
}

static void a_step_repairs_at_once(void **state)
{
    start();
    int64_t id = store_text(queue, "garden/x/sensor", "1");
    struct message message;
    assert_int_equal(queue_fetch(queue, id, &message), 0);
    queue_fetch_done(queue);
    assert_false(message.clock_synchronised);
    assert_true(message.received_ms < clock_wall_ms() + 1000);
    times_set = 0;
    set_clock("0 synchronised");
    uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(times_set, 1);
    assert_true(queue_clock_is_right(queue));
    assert_null(problem());
    assert_int_equal(queue_fetch(queue, id, &message), 0);
    queue_fetch_done(queue);
    assert_true(message.clock_synchronised);
    assert_in_range(clock_wall_ms() - message.received_ms, 0, 60000);
    stop();
}

static void patience_ends_with_advice(void **state)
{
    start();
    int64_t now_ms = clock_uptime_ms();
    clock_watch_look(watch, now_ms + 9 * 60 * 1000);
    assert_null(problem()); /* NTP needs a while after a boot */
    clock_watch_look(watch, now_ms + 11 * 60 * 1000);
    assert_non_null(strstr(problem(), "clock = trust"));
    stop();
}

static void what_may_not_be_asked_needs_no_patience(void **state)
{
    set_clock("0 denied");
    start();
    assert_non_null(strstr(problem(), "adjtimex"));
    assert_non_null(strstr(problem(), "clock = trust"));
    set_clock("0 unflagged"); /* chrony without rtcsync */
    clock_watch_look(watch, clock_uptime_ms());
    assert_true(queue_clock_is_right(queue));
    assert_null(problem());
    stop();
}

#define with_clock(test) cmocka_unit_test_setup_teardown(test, make_clock, remove_clock)
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(steps_wake_the_loop),
#ifdef SLUICE_FAULTS
        with_clock(a_step_repairs_at_once),
        with_clock(patience_ends_with_advice),
        with_clock(what_may_not_be_asked_needs_no_patience),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
