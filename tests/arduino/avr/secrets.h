/* secrets.h - in place of a user's; the texts are as long as real ones. */
#define DEVICE_MAC       0x02, 0x00, 0x00, 0x00, 0x13, 0xA2
#define BROKER_HOST      IPAddress(192, 168, 1, 10)
#define BROKER_PORT      1883
#define BROKER_USER      "device"
#define BROKER_PASSWORD  "0123456789abcdef01234567"
#define MEASURE_EVERY_MS 250UL
