/* The ring of the sketches: alone, and talking to sluice's side of the protocol
 * (bridge/message/device.c) over a network that loses what it can. */
#include "../../sketches/esp8266_mqtt/reading_ring.h"

extern "C" {
#include "message/device.h"
}

#include "check.h"

#include <string.h>
#include <string>
#include <vector>

struct Reading {
    uint32_t value;
};

typedef ReadingRing<Reading, 32> Ring;

static bool acknowledge(Ring &ring, const std::string &text, uint32_t now_ms = 0)
{
    return ring.acknowledge((const uint8_t *)text.data(), (unsigned)text.size(), now_ms);
}

static std::string ack(uint32_t boot, uint32_t number)
{
    return std::to_string(boot) + " " + std::to_string(number);
}

static void fill(Ring &ring, uint32_t count, uint32_t first = 1)
{
    for (uint32_t i = 0; i < count; i++)
        ring.put({first + i}, i);
}

/* Sends all that is due; the numbers. */
static std::vector<uint32_t> send(Ring &ring, uint32_t now_ms)
{
    std::vector<uint32_t> numbers;
    while (ring.due(now_ms)) {
        numbers.push_back(ring.number());
        ring.sent(now_ms);
    }
    return numbers;
}

typedef std::vector<uint32_t> Numbers;

TEST(the_boot_id_has_the_counter_and_chance)
{
    Ring one, other;
    one.begin(2, 0x12345678);
    other.begin(2, 0x87654321);
    CHECK(one.boot() == 0x00025678);
    CHECK(other.boot() == 0x00024321);
}

TEST(a_window_is_sent_and_no_more)
{
    Ring ring;
    ring.begin(1, 1);
    CHECK(!ring.due(0));
    fill(ring, 20);
    CHECK(send(ring, 100) == Numbers({1, 2, 3, 4, 5, 6, 7, 8}));
    CHECK(!ring.due(101));
    CHECK(acknowledge(ring, ack(ring.boot(), 3), 102));
    CHECK(ring.held() == 17 && ring.oldest() == 4);
    CHECK(send(ring, 103) == Numbers({9, 10, 11}));
}

TEST(a_reading_tells_its_number_and_age)
{
    Ring ring;
    ring.begin(1, 1);
    ring.put({77}, 0xfffffff0); /* just before millis() starts again */
    CHECK(ring.due(0x10) && ring.number() == 1 && ring.oldest() == 1);
    CHECK(ring.reading().value == 77);
    CHECK(ring.age(0x10) == 0x20);
}

TEST(without_progress_it_starts_again_after_growing_pauses)
{
    Ring ring;
    ring.begin(1, 99);
    fill(ring, 3);
    uint32_t start_ms = 0xffffff00, now_ms = start_ms, last_ms = now_ms, pauses[12];
    for (uint32_t &pause : pauses) {
        CHECK(send(ring, now_ms) == Numbers({1, 2, 3}));
        while (!ring.due(now_ms))
            now_ms += 100;
        pause = now_ms - last_ms;
        last_ms = now_ms;
    }
    CHECK(pauses[0] >= RING_RETRY_MIN_MS / 2 && pauses[0] <= RING_RETRY_MIN_MS + 100);
    CHECK(pauses[1] >= RING_RETRY_MIN_MS && pauses[1] <= 2 * RING_RETRY_MIN_MS + 100);
    for (uint32_t pause : pauses)
        CHECK(pause <= RING_RETRY_MAX_MS + 100);
    CHECK(pauses[11] >= RING_RETRY_MAX_MS / 2);
    send(ring, now_ms);
    CHECK(acknowledge(ring, ack(ring.boot(), 1), now_ms)); /* progress: short again */
    CHECK(!ring.due(now_ms + RING_RETRY_MIN_MS / 2 - 1));
    CHECK(ring.due(now_ms + RING_RETRY_MIN_MS));
}

TEST(a_new_connection_starts_again_at_the_oldest)
{
    Ring ring;
    ring.begin(1, 1);
    fill(ring, 5);
    send(ring, 0);
    acknowledge(ring, ack(ring.boot(), 2));
    ring.restart();
    CHECK(send(ring, 1) == Numbers({3, 4, 5}));
}

TEST(a_full_ring_drops_the_oldest)
{
    Ring ring;
    ring.begin(1, 1);
    fill(ring, 40);
    CHECK(ring.held() == 32 && ring.oldest() == 9 && ring.dropped() == 8);
    CHECK(ring.due(0) && ring.reading().value == 9);
}

/* So that with sluice away and the broker there, each reaches the broker. */
TEST(each_reading_is_sent_once_before_it_is_dropped)
{
    Ring ring;
    ring.begin(1, 1);
    std::vector<uint32_t> sent;
    for (uint32_t i = 1; i <= 200; i++) {
        ring.put({i}, i * 60000);
        for (uint32_t number : send(ring, i * 60000))
            sent.push_back(number);
    }
    for (uint32_t i = 1; i <= 200 - 32; i++) {
        size_t count = 0;
        for (uint32_t number : sent)
            count += number == i;
        CHECK(count >= 1);
    }
}

TEST(what_is_no_acknowledgement_of_ours_is_ignored)
{
    Ring ring;
    ring.begin(1, 5);
    fill(ring, 4);
    acknowledge(ring, ack(ring.boot(), 1));
    std::string boot = std::to_string(ring.boot());
    for (std::string text :
         {std::string(), std::string(" "), std::string("x"), boot, boot + " ", boot + " 2 ", boot + " 2x",
          boot + "  2", " " + boot + " 2", boot + " -2", boot + " 42949672962", boot + " 99999999999",
          "4294967296" + boot + " 2", ack(ring.boot() + 1, 3), ack(ring.boot(), 0), ack(ring.boot(), 1),
          boot + std::string(" 2\0", 3)})
        CHECK(!acknowledge(ring, text));
    CHECK(ring.held() == 3);
    CHECK(acknowledge(ring, boot + " 2"));
    CHECK(acknowledge(ring, boot + " 04"));
    CHECK(ring.held() == 0);
}

/* Someone else had our boot id: then what we number may be taken for repetitions. */
TEST(an_acknowledgement_beyond_the_newest_makes_it_take_another_boot_id)
{
    Ring ring;
    ring.begin(7, 5);
    fill(ring, 4);
    send(ring, 0);
    acknowledge(ring, ack(ring.boot(), 1));
    uint32_t boot = ring.boot();
    CHECK(!acknowledge(ring, ack(boot, 5)));
    CHECK(ring.boot() != boot && ring.boot() >> 16 == 8);
    CHECK(ring.held() == 3 && ring.oldest() == 1);
    CHECK(send(ring, 1) == Numbers({1, 2, 3}));
    CHECK(!acknowledge(ring, ack(boot, 2)));
}

/* Counting to 2^32 would take too long: the ring's memory is searched for the number
 * that follows its boot id, and that is set to nearly as much. */
TEST(numbers_never_start_again_under_one_boot_id)
{
    Ring ring;
    ring.begin(1, 5);
    uint32_t boot = ring.boot(), words[sizeof ring / 4], nearly = UINT32_MAX - 2;
    memcpy(words, (void *)&ring, sizeof words);
    for (size_t i = 0; i + 1 < sizeof words / 4; i++)
        if (words[i] == boot && words[i + 1] == 1)
            words[i + 1] = nearly;
    memcpy((void *)&ring, words, sizeof words);
    CHECK(ring.oldest() == nearly);
    fill(ring, 3);
    CHECK(ring.boot() == boot && ring.oldest() == nearly);
    fill(ring, 2, 4);
    CHECK(ring.boot() != boot && ring.held() == 5 && ring.oldest() == 1);
    CHECK(ring.due(0) && ring.reading().value == 1);
}

/* ---- the ring and sluice ---- */

static uint32_t chance;

static bool one_in(uint32_t limit)
{
    return ring_random(chance) % limit == 0;
}

struct Publish {
    device_reading reading;
    uint32_t value;
};

/* Both ends, and between them a network that loses readings, acknowledgements and
 * whole connections, and delivers some twice. */
struct World {
    Ring ring;
    device known = {};
    std::vector<Publish> under_way;
    std::vector<std::string> answers;
    std::vector<uint32_t> stored; /* by value */
    uint32_t now_ms = 0, measured = 0, earlier_measured = 0;

    void sluice_takes(const Publish &publish)
    {
        device_verdict verdict = device_receive(&known, &publish.reading);
        if (verdict == DEVICE_TOO_FAR)
            return;
        if (verdict == DEVICE_NEW) {
            device_stored(&known, &publish.reading);
            stored.resize(measured + 1);
            stored[publish.value]++;
        }
        answers.push_back(ack(publish.reading.boot, device_acknowledged(&known, publish.reading.boot)));
    }

    void step(uint32_t loss)
    {
        now_ms += ring_random(chance) % 3000;
        if (one_in(3))
            ring.put({++measured}, now_ms);
        if (ring.due(now_ms)) {
            if (!one_in(loss))
                under_way.push_back({{ring.boot(), ring.number(), ring.oldest()}, ring.reading().value});
            ring.sent(now_ms);
        }
        if (!under_way.empty() && one_in(2)) {
            Publish publish = under_way.front();
            if (!one_in(10))
                under_way.erase(under_way.begin());
            sluice_takes(publish);
        }
        if (!answers.empty() && one_in(2)) {
            if (!one_in(loss))
                acknowledge(ring, answers.front(), now_ms);
            answers.erase(answers.begin());
        }
        if (one_in(20 * loss)) { /* the connection breaks */
            under_way.clear();
            answers.clear();
            ring.restart();
        }
    }

    void drain()
    {
        while (ring.held() > 0) {
            now_ms += 1000;
            if (ring.due(now_ms)) {
                under_way.push_back({{ring.boot(), ring.number(), ring.oldest()}, ring.reading().value});
                ring.sent(now_ms);
            }
            while (!under_way.empty()) {
                sluice_takes(under_way.front());
                under_way.erase(under_way.begin());
            }
            for (const std::string &answer : answers)
                acknowledge(ring, answer, now_ms);
            answers.clear();
        }
    }
};

TEST(over_a_bad_network_every_reading_is_stored_once_or_counted)
{
    for (uint32_t seed = 1; seed <= 200; seed++) {
        World world;
        chance = seed;
        world.ring.begin((uint16_t)seed, seed * 7919);
        uint32_t loss = 2 + seed % 9;
        for (int i = 0; i < 2000; i++)
            world.step(loss);
        world.drain();
        uint64_t once = 0;
        world.stored.resize(world.measured + 1);
        for (uint32_t i = 1; i <= world.measured; i++) {
            CHECK(world.stored[i] <= 1);
            once += world.stored[i];
        }
        /* When even its first ones were dropped, sluice saw it too late to know of them. */
        uint64_t before = world.known.first - 1;
        CHECK(world.known.stored == once);
        CHECK(once + world.known.lost + before == world.measured);
        CHECK(world.known.lost + before <= world.ring.dropped());
        CHECK(world.ring.boot() == world.known.lives[0].boot && world.known.begun == 1);
        if (world.ring.dropped() == 0)
            CHECK(world.known.lost == 0);
    }
}

/* sluice's database is deleted: what is not acknowledged comes again, the rest was
 * stored before. */
TEST(a_sluice_that_forgot_everything_loses_nothing)
{
    for (uint32_t seed = 1; seed <= 50; seed++) {
        World world;
        chance = seed;
        world.ring.begin((uint16_t)seed, seed);
        for (int round = 0; round < 5; round++) {
            for (int i = 0; i < 200; i++)
                world.step(20);
            world.known = {};
            world.under_way.clear(); /* what was repeated before, and came now, would be counted as lost */
            world.answers.clear();
        }
        world.drain();
        world.stored.resize(world.measured + 1);
        if (world.ring.dropped() == 0)
            for (uint32_t i = 1; i <= world.measured; i++)
                CHECK(world.stored[i] >= 1);
        CHECK(world.known.lost == 0);
    }
}
