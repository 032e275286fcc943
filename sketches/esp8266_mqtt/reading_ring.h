/* reading_ring.h - keeps readings until sluice has stored them.
 *
 * The code does not depend on hardware or a network: time is an argument, and the caller
 * asks for the reading to send. Each sketch that uses this file has a copy in its folder,
 * because the Arduino IDE looks nowhere else. All copies are the same.
 *
 * This is the device's side of the protocol in sluice-devices(7). A reading is sent as
 *
 *     {"b":BOOT,"s":NUMBER,"lo":OLDEST,"age":MS, ...}
 *
 * When sluice has it on its disk, it acknowledges with "BOOT NUMBER": all readings up to
 * that number are stored. Only then does the ring forget them.
 *
 *      oldest()          acknowledged                            put()
 *         │   ◄──────────── forgotten                              │
 *         ▼                                                        ▼
 *     ┌────────┬────────┬────────┬────────┬────────┬────────┬────────┐
 *     │ 41 sent│ 42 sent│ 43 next│ 44     │ 45     │ 46     │ 47     │
 *     └────────┴────────┴────────┴────────┴────────┴────────┴────────┘
 *      at most RING_WINDOW are in flight without an acknowledgement
 *
 * If no acknowledgement comes, the ring starts again at the oldest reading, after pauses
 * that grow. sluice stores a reading that arrives twice only once. When the ring is full,
 * it drops the oldest reading. sluice learns this from "lo", and counts the reading.
 */
#ifndef READING_RING_H
#define READING_RING_H

#include <stdint.h>

#ifndef RING_WINDOW
#define RING_WINDOW 8
#endif
/* A pause is at least half of this: the longest delay of a commit (commit_delay of sluice). */
#ifndef RING_RETRY_MIN_MS
#define RING_RETRY_MIN_MS 20000UL
#endif
#ifndef RING_RETRY_MAX_MS
#define RING_RETRY_MAX_MS 300000UL
#endif

/* Random enough to keep devices apart (xorshift32). The state must not be 0. */
inline uint32_t ring_random(uint32_t &state)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* The pause between attempts. It doubles each time. Half of it is fixed and half is
 * random, so that devices that failed together do not come back together. */
template <uint32_t MIN_MS, uint32_t MAX_MS> class Pause
{
  public:
    void begin(uint32_t now_ms, uint32_t &chance)
    {
        since_ms_ = now_ms;
        wait_ms_ = next_ms_ / 2 + ring_random(chance) % (next_ms_ / 2 + 1);
        next_ms_ = next_ms_ > MAX_MS / 2 ? MAX_MS : next_ms_ * 2;
    }
    /* A difference of unsigned numbers stays correct when millis() starts again at 0. */
    bool over(uint32_t now_ms) const
    {
        return now_ms - since_ms_ >= wait_ms_;
    }
    /* The attempt succeeded: no pause now, and the next one is short. */
    void reset()
    {
        wait_ms_ = 0;
        next_ms_ = MIN_MS;
    }

  private:
    uint32_t since_ms_ = 0;
    uint32_t wait_ms_ = 0;
    uint32_t next_ms_ = MIN_MS;
};

/* Reading is your own struct; keep it small. The ring is in RAM: a restart of the device
 * loses the readings in it. */
template <typename Reading, uint8_t CAPACITY> class ReadingRing
{
  public:
    /* counter must be different at each start, so keep it in EEPROM or flash. chance must be
     * as random as possible, because the counter may be erased. */
    void begin(uint16_t counter, uint32_t chance)
    {
        chance_ = chance != 0 ? chance : 1;
        boot_ = (uint32_t)counter << 16 | (chance_ & 0xffff);
    }

    void put(const Reading &reading, uint32_t now_ms)
    {
        if (held_ == CAPACITY) {
            drop(1);
            dropped_++;
        }
        if (newest() == UINT32_MAX)
            renumber();
        Slot &slot = slots_[(start_ + held_) % CAPACITY];
        slot.reading = reading;
        slot.measured_ms = now_ms;
        held_++;
    }

    /* Returns whether to send a reading now. If so, the next five functions describe it. If the
     * pause for an acknowledgement is over, it starts again at the oldest reading. */
    bool due(uint32_t now_ms)
    {
        if (sent_ > 0 && retry_.over(now_ms)) {
            sent_ = 0;
            retry_.begin(now_ms, chance_);
        }
        return sent_ < held_ && sent_ < RING_WINDOW;
    }
    const Reading &reading() const
    {
        return next().reading;
    }
    uint32_t boot() const
    {
        return boot_;
    }
    uint32_t number() const
    {
        return oldest_ + sent_;
    }
    uint32_t oldest() const
    {
        return oldest_;
    }
    uint32_t age(uint32_t now_ms) const
    {
        return now_ms - next().measured_ms;
    } /* correct for 49 days */

    /* The reading was handed to the network, which does not mean that it arrives. */
    void sent(uint32_t now_ms)
    {
        if (sent_++ == 0 && retry_.over(now_ms))
            retry_.begin(now_ms, chance_);
    }

    /* There is a new connection: readings that were sent over the old one may be lost. */
    void restart()
    {
        sent_ = 0;
        retry_.reset();
    }

    /* Reads an acknowledgement, "BOOT NUMBER", and forgets the acknowledged readings. Returns
     * whether there were any. */
    bool acknowledge(const uint8_t *text, unsigned bytes, uint32_t now_ms)
    {
        const uint8_t *end = text + bytes;
        uint32_t boot, number;
        return parse(&text, end, &boot) && text != end && *text++ == ' ' && parse(&text, end, &number) &&
               text == end && acknowledge(boot, number, now_ms);
    }
    bool acknowledge(uint32_t boot, uint32_t number, uint32_t now_ms)
    {
        if (boot != boot_ || number < oldest_)
            return false; /* from an earlier boot, or old and late */
        if (number > newest()) {
            renumber(); /* another device uses our boot id: take a new one */
            return false;
        }
        drop((uint8_t)(number - oldest_ + 1));
        retry_.reset();
        if (sent_ > 0)
            retry_.begin(now_ms, chance_);
        return true;
    }

    uint8_t held() const
    {
        return held_;
    }
    uint32_t dropped() const
    {
        return dropped_;
    } /* since begin(), because the ring was full */
    uint32_t &chance()
    {
        return chance_;
    } /* the random state, for other pauses */

  private:
    struct Slot {
        uint32_t measured_ms;
        Reading reading;
    };

    const Slot &next() const
    {
        return slots_[(start_ + sent_) % CAPACITY];
    }
    uint32_t newest() const
    {
        return oldest_ + held_ - 1;
    } /* 0 before the first */

    void drop(uint8_t count)
    {
        start_ = (uint8_t)((start_ + count) % CAPACITY);
        held_ = (uint8_t)(held_ - count);
        oldest_ += count;
        sent_ = sent_ > count ? (uint8_t)(sent_ - count) : 0;
    }

    /* As after a restart of the device: a new boot id, and numbers from 1. */
    void renumber()
    {
        uint32_t counter = (boot_ >> 16) + 1;
        boot_ = counter << 16 | (ring_random(chance_) & 0xffff);
        oldest_ = 1;
        restart();
    }

    static bool parse(const uint8_t **at, const uint8_t *end, uint32_t *ret)
    {
        const uint8_t *start = *at;
        uint32_t number = 0;
        for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
            uint8_t digit = (uint8_t)(**at - '0');
            if (number > (UINT32_MAX - digit) / 10)
                return false;
            number = number * 10 + digit;
        }
        *ret = number;
        return *at > start;
    }

    static_assert(CAPACITY >= RING_WINDOW && CAPACITY <= 128, "8 to 128 readings");

    Slot slots_[CAPACITY];
    uint32_t boot_ = 0;
    uint32_t oldest_ = 1; /* number of the oldest reading in the ring */
    uint32_t dropped_ = 0;
    uint32_t chance_ = 1;
    Pause<RING_RETRY_MIN_MS, RING_RETRY_MAX_MS> retry_;
    uint8_t start_ = 0; /* index of the oldest reading */
    uint8_t held_ = 0;
    uint8_t sent_ = 0; /* how many were sent since it last started at the oldest */
};

#endif
