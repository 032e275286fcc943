/* WiFi.h - of the ESP32. */
#ifndef SHIM_WIFI_H
#define SHIM_WIFI_H

#include "SocketClient.h"

typedef SocketClient WiFiClient;

enum wl_status_t { WL_IDLE_STATUS = 0, WL_CONNECTED = 3, WL_DISCONNECTED = 6 };
enum WiFiMode_t { WIFI_OFF = 0, WIFI_STA = 1 };

class WiFiClass
{
  public:
    bool mode(WiFiMode_t)
    {
        return true;
    }
    wl_status_t begin(const char *, const char *)
    {
        return WL_DISCONNECTED;
    }
    wl_status_t status();
};
extern WiFiClass WiFi;

#endif
