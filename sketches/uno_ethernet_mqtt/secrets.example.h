/* Copy this file to secrets.h, which git ignores, and fill it in. */

/* From the sticker on the shield. Each device in a network needs its own. */
#define DEVICE_MAC 0xA8, 0x61, 0x0A, 0x00, 0x13, 0xA2

/* The address of the Raspberry Pi, and the user 'device' of its broker: scripts/install
 * writes the password to /etc/sluice/device_password. */
#define BROKER_HOST     IPAddress(192, 168, 1, 10)
#define BROKER_PORT     1883
#define BROKER_USER     "device"
#define BROKER_PASSWORD "its password"

#define MEASURE_EVERY_MS 60000UL
