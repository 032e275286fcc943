/* Copy this file to secrets.h, which git ignores, and fill it in. */
#define WIFI_NAME     "my-wifi"
#define WIFI_PASSWORD "its password"

/* sluice on the Raspberry Pi; its sluice.conf needs [http] listen = 0.0.0.0:8118. After /api
 * comes the path at the backend. Keep the key of the backend in sluice.conf, not here. */
#define SLUICE_URL "http://192.168.1.10:8118/api/collections/sensor"

#define MEASURE_EVERY_MS 60000UL
