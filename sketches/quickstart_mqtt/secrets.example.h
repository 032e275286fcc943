/* Copy to secrets.h, which stays out of version control. */
#define WIFI_NAME     "my-wifi"
#define WIFI_PASSWORD "its password"

/* The Raspberry Pi's address (the ESP8266 looks up no .local names), and the user 'device'
 * of its broker: scripts/install leaves the password in /etc/sluice/device_password. */
#define BROKER_HOST     "192.168.1.10"
#define BROKER_PORT     1883
#define BROKER_USER     "device"
#define BROKER_PASSWORD "its password"
