/* A client of the control socket that sends a little now and then, for ever, must not keep
 * its place: there is a time for each request, and for each message. The clock is the
 * test's own, and libuv's. */
#include "queue/queue_place.h"

#include "control/control.h"
#include "intake/intake.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum { SECOND_MS = 1000 };

static int64_t now_ms = 1000 * SECOND_MS;

static int64_t fake_clock_ms(clockid_t id)
{
    return now_ms;
}
#include "fake_clock.h"

static struct house {
    uv_loop_t loop;
    struct config config;
    struct metrics metrics;
    struct queue *queue;
    struct intake *intake;
    struct control *control;
    int client;
    char socket[100];
} house;

static void turn(void)
{
    for (int i = 0; i < 10; i++)
        uv_run(&house.loop, UV_RUN_NOWAIT);
}

static void ignore(void *context)
{
}

static char *no_status(void *context)
{
    return xstrdup("{}");
}

static int move_in(void **state)
{
    make_place(state);
    memset(&house, 0, sizeof house);
    snprintf(house.socket, sizeof house.socket, "%s/queue.db-socket", place.dir);
    assert_int_equal(uv_loop_init(&house.loop), 0);
    house.queue = open_queue();
    house.intake = intake_new(house.queue, &house.config, &house.metrics, ignore, NULL);
    const struct control_calls calls = {.status = no_status, .look = ignore};
    house.control = control_new(&house.loop, house.socket, house.intake, house.queue, &calls);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", house.socket);
    house.client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(house.client, (struct sockaddr *)&address, sizeof address), 0);
    turn();
    return 0;
}

static int move_out(void **state)
{
    close(house.client);
    control_free(house.control);
    turn();
    intake_free(house.intake);
    queue_close(house.queue);
    assert_int_equal(uv_loop_close(&house.loop), 0);
    unlink(house.socket);
    return remove_place(state);
}

static void send_text(const char *text)
{
    assert_int_equal(send(house.client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn();
}

static void wait_s(int seconds)
{
    now_ms += seconds * SECOND_MS;
    turn();
}

static bool is_closed(void)
{
    char response[64];
    return recv(house.client, response, sizeof response, 0) == 0;
}

static void a_request_has_half_a_minute(void **state)
{
    send_text("sta");
    wait_s(29);
    send_text("t");
    assert_false(is_closed());
    wait_s(2);
    assert_true(is_closed());
}

static void so_has_each_message(void **state)
{
    wait_s(20);
    send_text("send\n");
    wait_s(20);
    send_text("3 3\na/");
    for (int i = 0; i < 2; i++) {
        wait_s(14);
        send_text("a");
        assert_false(is_closed());
    }
    wait_s(3);
    assert_true(is_closed());
}

/* ... also one whose beginning came together with the end of another. */
static void so_has_what_follows_a_message(void **state)
{
    char response[64];
    send_text("send\n3 1\na/b13 3\na/");
    assert_int_equal(recv(house.client, response, sizeof response, 0), strlen("unrouted\n"));
    wait_s(29);
    assert_false(is_closed());
    wait_s(2);
    assert_true(is_closed());
}

static void a_client_between_messages_may_stay(void **state)
{
    char response[64];
    send_text("send\n3 1\na/b1");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(recv(house.client, response, sizeof response, 0), strlen("unrouted\n"));
        wait_s(3600);
        assert_false(is_closed());
        send_text("3 1\na/b1");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_has_half_a_minute, move_in, move_out),
        cmocka_unit_test_setup_teardown(so_has_each_message, move_in, move_out),
        cmocka_unit_test_setup_teardown(so_has_what_follows_a_message, move_in, move_out),
        cmocka_unit_test_setup_teardown(a_client_between_messages_may_stay, move_in, move_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
