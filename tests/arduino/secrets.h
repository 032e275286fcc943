/* secrets.h - in place of a user's. */
#include "sim.h"

#define WIFI_NAME        "here"
#define WIFI_PASSWORD    "open"
#define DEVICE_MAC       2, 0, 0, sim_chip_byte(0), sim_chip_byte(1), sim_chip_byte(2)
#define BROKER_HOST      sim_setting("BROKER_HOST")
#define BROKER_PORT      ((uint16_t)sim_number("BROKER_PORT"))
#define BROKER_USER      sim_setting("BROKER_USER")
#define BROKER_PASSWORD  sim_setting("BROKER_PASSWORD")
#define SLUICE_URL       sim_setting("SLUICE_URL")
#define MEASURE_EVERY_MS sim_number("MEASURE_EVERY_MS")
