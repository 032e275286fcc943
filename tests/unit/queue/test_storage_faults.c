/* The queue on a disk that fails: every operation on it, one after the other.
 *
 * Each run is a process of its own, which goes on after the failure as the daemon
 * does, or dies of it; then the database is opened on a disk that is well again
 * and held against the account of that process (storage_scenario.h).
 */
#include "base/clock.h"
#include "base/log.h"
#include "queue/fault_vfs.h"
#include "queue/queue_place.h"
#include "queue/storage_scenario.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef void scenario_fn(struct ledger *ledger, const char *path);

/* What a run begins with: nothing, or the files and the account of an older one. */
struct start {
    struct ledger ledger;
    struct {
        const char *name;
        void *data;
        size_t bytes;
    } files[3];
};

/* The results of a worker's children, and its own. */
struct shared {
    struct ledger ledger;
    bool fired;
    unsigned runs;
    char complaint[300];
};
static struct shared *shared;

enum { WORKERS = 2 };
static struct shared *shared_of_workers;

/* cmocka's handlers would go on with the next test. */
static void die_of_signals(void)
{
    static const int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        signal(signals[i], SIG_DFL);
}

static pid_t fork_child(void)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        die_of_signals();
    return pid;
}

static bool ended_well(pid_t pid)
{
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whether the process came to its end, or to the end that it was to make. */
static bool run(scenario_fn *scenario, const struct fault_plan *plan)
{
    pid_t pid = fork_child();
    if (pid == 0) {
        fault_vfs_arm(plan);
        scenario(&shared->ledger, place.path);
        shared->fired = fault_vfs_fired();
        _exit(0); /* without closing anything */
    }
    bool well = ended_well(pid);
    if (shared->ledger.failures > 0)
        shared->fired = true;
    return well && (shared->ledger.done || shared->ledger.gives_up);
}

/* ---- where a run starts ---- */

static void read_file(const char *name, void **ret_data, size_t *ret_bytes)
{
    cleanup_free char *path = xasprintf("%s/%s", place.dir, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct stat status;
    assert_int_equal(fstat(fileno(file), &status), 0);
    *ret_bytes = (size_t)status.st_size;
    *ret_data = xcalloc(1, *ret_bytes + 1);
    assert_int_equal(fread(*ret_data, 1, *ret_bytes, file), *ret_bytes);
    fclose(file);
}

/* A queue in use: the next checkpoint is near, and the process just died. */
static void make_aged(struct start *ret)
{
    memset(shared, 0, sizeof *shared);
    assert_true(run(scenario_age, &(struct fault_plan){.nth = 0}));
    *ret =
        (struct start){.ledger = shared->ledger,
                       .files = {{.name = "queue.db"}, {.name = "queue.db-wal"}, {.name = "queue.db-lock"}}};
    for (size_t i = 0; i < ARRAY_LEN(ret->files); i++)
        read_file(ret->files[i].name, &ret->files[i].data, &ret->files[i].bytes);
    empty_directory(place.dir);
}

static void begin_at(const struct start *start)
{
    empty_directory(place.dir);
    shared->ledger = start->ledger;
    shared->ledger.done = shared->fired = false;
    for (size_t i = 0; i < ARRAY_LEN(start->files) && start->files[i].name; i++) {
        cleanup_free char *path = xasprintf("%s/%s", place.dir, start->files[i].name);
        put_file(path, start->files[i].data, start->files[i].bytes);
    }
}

/* ---- every operation, one after the other ---- */

enum how { ONCE = 1, UNTIL_HEALED = 2, AND_CRASH = 4 };

static const struct kind {
    const char *name;
    struct fault_plan plan;
    unsigned hows; /* a sum of enum how */
} kinds[] = {
    {"disk full", {.ops = FAULT_WRITE, .code = SQLITE_FULL}, ONCE | UNTIL_HEALED},
    {"disk full within a write",
     {.ops = FAULT_WRITE, .code = SQLITE_FULL, .torn = true},
     UNTIL_HEALED | AND_CRASH},
    {"write error", {.ops = FAULT_WRITE, .code = SQLITE_IOERR_WRITE}, UNTIL_HEALED},
    {"torn write", {.ops = FAULT_WRITE, .code = SQLITE_IOERR_WRITE, .torn = true}, ONCE},
    {"sync error", {.ops = FAULT_SYNC, .code = SQLITE_IOERR_FSYNC}, ONCE | UNTIL_HEALED | AND_CRASH},
    {"truncate error",
     {.ops = FAULT_TRUNCATE, .code = SQLITE_IOERR_TRUNCATE},
     ONCE | UNTIL_HEALED | AND_CRASH},
    {"delete error", {.ops = FAULT_DELETE, .code = SQLITE_IOERR_DELETE}, ONCE | UNTIL_HEALED | AND_CRASH},
    {"open error", {.ops = FAULT_OPEN, .code = SQLITE_CANTOPEN}, ONCE | UNTIL_HEALED},
    {"no room for the -shm file", {.ops = FAULT_SHM, .code = SQLITE_IOERR_SHMSIZE}, ONCE | UNTIL_HEALED},
    {"read error", {.ops = FAULT_READ, .code = SQLITE_IOERR_READ}, ONCE | UNTIL_HEALED},
    {"dead disk", {.ops = FAULT_CHANGES, .code = SQLITE_IOERR}, UNTIL_HEALED},
};

/* One run with the nth operation failing; whether there was an nth. Ends the
 * worker when the run left something wrong. */
static bool survives(scenario_fn *scenario, const struct start *start, const struct kind *kind, enum how how,
                     unsigned nth)
{
    struct fault_plan plan = kind->plan;
    plan.nth = nth;
    plan.lasting = how == UNTIL_HEALED;
    begin_at(start);
    shared->ledger.gives_up = how == AND_CRASH;
    bool well = run(scenario, &plan);
    pid_t checker = fork_child(); /* so that this process stays small, and forks fast */
    if (checker == 0) {
        cleanup_free char *complaint = ledger_check(&shared->ledger, place.path, false);
        if (complaint)
            snprintf(shared->complaint, sizeof shared->complaint, "%s", complaint);
        _exit(complaint ? 1 : 0);
    }
    if (ended_well(checker) && well)
        return shared->fired;
    cleanup_free char *complaint = xstrdup(shared->complaint);
    snprintf(shared->complaint, sizeof shared->complaint, "%s, operation %u, %s: %s%s", kind->name, nth,
             how == ONCE           ? "once"
             : how == UNTIL_HEALED ? "until it is healed"
                                   : "and a crash",
             well ? "" : "the scenario did not come to its end; ", complaint);
    empty_directory(place.dir);
    rmdir(place.dir);
    _exit(1);
}

/* A worker takes every Nth kind, in a directory of its own. */
static void work(unsigned worker, scenario_fn *scenario, const struct start *start, unsigned step)
{
    unsigned turn = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (enum how how = ONCE; how <= AND_CRASH; how *= 2) {
            if (!(kinds[i].hows & how) || turn++ % WORKERS != worker)
                continue;
            /* Most reads are recovery's, page by page. */
            unsigned kind_step = kinds[i].plan.ops == FAULT_READ && start->files[0].name ? 11 : step;
            unsigned nth = 1, second = 2 + clock_chance() % kind_step;
            for (; survives(scenario, start, &kinds[i], how, nth); nth = nth == 1 ? second : nth + kind_step)
                shared->runs++;
            if (nth == 1 && (kinds[i].plan.ops & (FAULT_WRITE | FAULT_SYNC))) {
                snprintf(shared->complaint, sizeof shared->complaint, "%s never happens", kinds[i].name);
                _exit(1);
            }
        }
}

static void for_each_fault(scenario_fn *scenario, const struct start *start, unsigned step)
{
    pid_t pids[WORKERS];
    for (unsigned worker = 0; worker < WORKERS; worker++) {
        memset(&shared_of_workers[worker], 0, sizeof *shared);
        pids[worker] = fork_child();
        if (pids[worker] == 0) {
            shared = &shared_of_workers[worker];
            void *state = NULL;
            if (make_place(&state) != 0)
                _exit(1);
            work(worker, scenario, start, step);
            empty_directory(place.dir);
            _exit(rmdir(place.dir) == 0 ? 0 : 1);
        }
    }
    bool well = true;
    for (unsigned worker = 0; worker < WORKERS; worker++)
        well &= ended_well(pids[worker]);
    if (!well)
        fail_msg("%s %s", shared_of_workers[0].complaint, shared_of_workers[1].complaint);
    print_message("%u faults\n", shared_of_workers[0].runs + shared_of_workers[1].runs);
}

/* Each run of this test takes another part of the faults, from a random one on. All of them
 * take a minute, and more under AddressSanitizer, whose forks are slow. */
#ifdef SLUICE_SANITISED
enum { STEP = 18 };
#else
enum { STEP = 3 };
#endif

static unsigned step(void)
{
    return tests_are_long() ? 1 : STEP;
}

static void a_new_queue_survives_every_fault(void **state)
{
    const struct start nothing = {.ledger = {.count = 0}};
    for_each_fault(scenario_new, &nothing, step());
}

static void a_queue_in_use_survives_every_fault(void **state)
{
    struct start aged;
    make_aged(&aged);
    for_each_fault(scenario_run, &aged, step());
    for (size_t i = 0; i < ARRAY_LEN(aged.files); i++)
        free(aged.files[i].data);
}

/* Its pages are alike: some hundreds of them, of which every Nth is tried. */
static void a_batch_larger_than_the_cache_survives_faults(void **state)
{
    const struct start nothing = {.ledger = {.count = 0}};
    for_each_fault(scenario_large_batch, &nothing, 61 * test_step());
}

static int tear_down(void **state)
{
    empty_directory(place.dir);
    return rmdir(place.dir);
}

static int set_up(void **state)
{
    log_init(LOG_LEVEL_ERROR); /* failures are intended here */
    fault_vfs_install();
    shared_of_workers = mmap(NULL, WORKERS * sizeof *shared_of_workers, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared = shared_of_workers;
    return shared_of_workers == MAP_FAILED ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_queue_survives_every_fault, make_place, tear_down),
        cmocka_unit_test_setup_teardown(a_queue_in_use_survives_every_fault, make_place, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_larger_than_the_cache_survives_faults, make_place, tear_down),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
