/* sim.h - a sketch as a program on this machine, and how a test drives it.
 *
 * From the environment:
 *
 *   SIM_DIR           where its EEPROM is (file `eeprom`); default: the current directory
 *   SIM_CHIP          the chip's id, or the end of its MAC address, six hex digits
 *   SIM_SPEED         so many times faster than on a board does time pass; default 1
 *   SIM_MILLIS        what millis() begins with
 *   SIM_ADC           `count` (default): the probe reads 1, 2, 3 ...; `walk`: as soil does
 *   SIM_ADC_START     the number before the first
 *   and what the sketch asks for by sim_setting()
 *
 * From standard input, a line each:
 *
 *   network up | lossy | down   lossy: gone, and the board has not noticed
 *   acks lost | heard           whether messages reach the sketch
 *   quiet                       end as soon as nothing is held any more
 *
 * SIGUSR1 is as good as `quiet`. What the sketch prints on Serial goes to standard output.
 */
#ifndef SIM_H
#define SIM_H

#include <stdint.h>

const char *sim_setting(const char *name); /* must be there */
uint32_t sim_number(const char *name);
uint8_t sim_chip_byte(int i); /* 0 to 2 */
bool sim_loses_messages();
/* By the sketch's own file (sketch.cpp): whether it holds readings. */
bool sim_sketch_holds();

#endif
