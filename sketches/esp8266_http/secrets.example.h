/* Copy to secrets.h, which stays out of version control, and fill it in. */
#define WIFI_NAME     "my-wifi"
#define WIFI_PASSWORD "its password"

/* sluice on the Raspberry Pi, which needs [http] listen = 0.0.0.0:8118 in sluice.conf. Behind
 * /api stands what the backend has there; its key is better kept in sluice.conf. */
#define SLUICE_URL "http://192.168.1.10:8118/api/collections/sensor"

#define MEASURE_EVERY_MS 60000UL
