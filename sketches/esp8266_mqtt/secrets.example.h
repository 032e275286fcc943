/* Copy this file to secrets.h, which git ignores, and fill it in. */
#define WIFI_NAME     "my-wifi"
#define WIFI_PASSWORD "its password"

/* The address of the Raspberry Pi (not a .local name), and the user 'device' of its broker:
 * scripts/install writes the password to /etc/sluice/device_password. */
#define BROKER_HOST     "192.168.1.10"
#define BROKER_PORT     1883
#define BROKER_USER     "device"
#define BROKER_PASSWORD "its password"

#define MEASURE_EVERY_MS 60000UL
