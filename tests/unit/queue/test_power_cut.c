/* The queue on a disk whose power is cut, before every operation on it.
 *
 * The scenario (storage_scenario.h) runs once. Before each of its writes, syncs
 * and so on, a fork makes of what the disk holds some of the states that a power
 * cut could leave, opens each, and holds it against the account so far: what was
 * acknowledged by then must be there.
 *
 * SLUICE_SEED=N in the environment repeats a run.
 */
#include "base/log.h"
#include "queue/fault_vfs.h"
#include "queue/queue_place.h"
#include "queue/storage_scenario.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef void scenario_fn(struct ledger *ledger, const char *path);

enum { MOST_CUTS = 4 }; /* at one place */

/* The results of the children. */
struct shared {
    struct ledger ledger;
    unsigned cuts;
    bool fired;
    char complaint[300];
};
static struct shared *shared;

static uint64_t seed;

struct knife {
    unsigned cuts;        /* at each place: one that leaves nothing unsynced, the others random */
    unsigned writes_step; /* before every Nth write, and before everything else */
    unsigned most_places; /* after a fault: there, and nowhere before; 0: everywhere */
    unsigned writes, places;
};

/* ---- processes ---- */

/* A child, without cmocka's handlers, which would go on with the next test. */
static pid_t fork_child(void)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        static const int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
        for (size_t i = 0; i < ARRAY_LEN(signals); i++)
            signal(signals[i], SIG_DFL);
    }
    return pid;
}

static bool ended_well(pid_t pid)
{
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- cuts ---- */

static void cut_directory(char *text, size_t bytes, unsigned cut)
{
    snprintf(text, bytes, "%s/cut-%u", place.dir, cut);
}

static uint64_t seed_of(unsigned number, unsigned cut)
{
    return seed + 1000 * (uint64_t)number + cut;
}

/* The lock file is not SQLite's; it shows that the queue was not closed. */
static void copy_lock(const char *dir)
{
    char text[256];
    cleanup_free char *from = xasprintf("%s-lock", place.path), *to = xasprintf("%s/queue.db-lock", dir);
    FILE *file = fopen(from, "rb");
    size_t bytes = file ? fread(text, 1, sizeof text, file) : 0;
    if (file)
        fclose(file);
    put_file(to, text, bytes);
}

/* In a child: what the disk may hold now must do for a start. */
static void cut_and_check(const struct knife *knife, unsigned number)
{
    char dir[96], path[112];
    for (unsigned cut = 0; cut < knife->cuts; cut++) {
        cut_directory(dir, sizeof dir, cut);
        empty_directory(dir);
        copy_lock(dir);
        fault_vfs_power_cut(dir, cut == 0 ? CUT_UNSYNCED : CUT_SOME, seed_of(number, cut));
    }
    fault_vfs_reset();
    for (unsigned cut = 0; cut < knife->cuts; cut++) {
        cut_directory(dir, sizeof dir, cut);
        snprintf(path, sizeof path, "%s/queue.db", dir);
        cleanup_free char *complaint = ledger_check(&shared->ledger, path, true);
        if (!complaint)
            continue;
        snprintf(shared->complaint, sizeof shared->complaint, "power cut %u.%u, SLUICE_SEED=%llu: %s", number,
                 cut, (unsigned long long)seed, complaint);
        _exit(1);
    }
    _exit(0);
}

static void cut_here(struct knife *knife)
{
    unsigned number = knife->places++;
    pid_t pid = fork_child();
    if (pid == 0)
        cut_and_check(knife, number);
    shared->cuts += knife->cuts;
    if (ended_well(pid))
        return;
    if (!shared->complaint[0])
        snprintf(shared->complaint, sizeof shared->complaint,
                 "power cut %u, SLUICE_SEED=%llu: the check died", number, (unsigned long long)seed);
    _exit(1);
}

static void before_operation(void *context, enum fault_op op)
{
    struct knife *knife = context;
    if (knife->most_places > 0 && (!fault_vfs_fired() || knife->places == knife->most_places))
        return;
    if (op == FAULT_WRITE && knife->writes++ % knife->writes_step != 0)
        return;
    cut_here(knife);
}

/* ---- runs ---- */

static void run(scenario_fn *scenario, struct knife knife, const struct fault_plan *plan)
{
    pid_t pid = fork_child();
    if (pid == 0) {
        fault_vfs_arm(plan);
        fault_vfs_watch(before_operation, &knife);
        scenario(&shared->ledger, place.path);
        shared->fired = fault_vfs_fired();
        cut_here(&knife);
        _exit(0);
    }
    bool well = ended_well(pid) && shared->ledger.done;
    if (!well && plan->nth > 0)
        fail_msg("%s%s (sync %u failed)", shared->complaint, shared->ledger.complaint, plan->nth);
    if (!well)
        fail_msg("%s%s", shared->complaint, shared->ledger.complaint);
}

/* Ends as a process that is killed. */
static void age(void)
{
    pid_t pid = fork_child();
    if (pid == 0) {
        scenario_age(&shared->ledger, place.path);
        _exit(0);
    }
    assert_true(ended_well(pid));
}

static const struct fault_plan no_fault = {.nth = 0};

static void a_new_queue_survives_a_power_cut_anywhere(void **state)
{
    run(scenario_run, (struct knife){.cuts = 2 + test_cases(2), .writes_step = 3 * test_step()}, &no_fault);
    assert_true(shared->cuts > test_cases(200));
}

static void a_queue_in_use_survives_a_power_cut_anywhere(void **state)
{
    age();
    run(scenario_run, (struct knife){.cuts = 2 + test_cases(2), .writes_step = 3 * test_step()}, &no_fault);
    assert_true(shared->cuts > test_cases(200));
}

static void a_batch_larger_than_the_cache_survives_a_power_cut(void **state)
{
    run(scenario_large_batch, (struct knife){.cuts = 2, .writes_step = 67}, &no_fault);
}

/* Linux reports a failed sync once, and then takes its pages for clean: they can be read
 * back, and are never written. Only pages that are written again are safe. */
static void cut_after_each_failed_sync(bool aged)
{
    struct fault_plan plan = {.ops = FAULT_SYNC, .code = SQLITE_IOERR_FSYNC, .forgets = true};
    do {
        plan.nth++;
        empty_directory(place.dir);
        memset(shared, 0, sizeof *shared);
        if (aged)
            age();
        run(scenario_run, (struct knife){.cuts = 2, .writes_step = 20, .most_places = 8}, &plan);
    } while (shared->fired);
}

static void a_new_queue_does_not_rely_on_a_sync_that_failed(void **state)
{
    cut_after_each_failed_sync(false);
}

static void a_queue_in_use_does_not_rely_on_a_sync_that_failed(void **state)
{
    cut_after_each_failed_sync(true);
}

/* ---- ---- */

static int set_up(void **state)
{
    if (make_place(state) != 0)
        return -1;
    memset(shared, 0, sizeof *shared);
    for (unsigned cut = 0; cut < MOST_CUTS; cut++) {
        char dir[96];
        cut_directory(dir, sizeof dir, cut);
        if (mkdir(dir, 0700) != 0)
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    for (unsigned cut = 0; cut < MOST_CUTS; cut++) {
        char dir[96];
        cut_directory(dir, sizeof dir, cut);
        empty_directory(dir);
        rmdir(dir);
    }
    empty_directory(place.dir);
    return rmdir(place.dir);
}

static int set_up_all(void **state)
{
    const char *wanted = getenv("SLUICE_SEED");
    seed = wanted ? strtoull(wanted, NULL, 10) : clock_chance();
    print_message("SLUICE_SEED=%llu\n", (unsigned long long)seed);
    log_init(LOG_LEVEL_ERROR);
    fault_vfs_install();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_queue_survives_a_power_cut_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_queue_in_use_survives_a_power_cut_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_larger_than_the_cache_survives_a_power_cut, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_new_queue_does_not_rely_on_a_sync_that_failed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_queue_in_use_does_not_rely_on_a_sync_that_failed, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, set_up_all, NULL);
}
