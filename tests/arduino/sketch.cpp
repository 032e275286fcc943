/* sketch.cpp - one sketch as the Arduino IDE would compile it. */
#include <Arduino.h>

#include SKETCH

#ifdef SIM
#include "sim.h"

bool sim_sketch_holds()
{
#ifdef READING_RING_H
    return ring.held() > 0;
#else
    return false;
#endif
}
#endif
