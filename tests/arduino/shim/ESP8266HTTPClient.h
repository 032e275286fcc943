/* ESP8266HTTPClient.h - one POST over a connection of its own. */
#ifndef SHIM_HTTPCLIENT_H
#define SHIM_HTTPCLIENT_H

#include "WiFi.h"

#define HTTPC_ERROR_CONNECTION_FAILED   (-1)
#define HTTPC_ERROR_SEND_PAYLOAD_FAILED (-3)
#define HTTPC_ERROR_CONNECTION_LOST     (-5)
#define HTTPC_ERROR_READ_TIMEOUT        (-11)

class HTTPClient
{
  public:
    bool begin(WiFiClient &client, const char *url);
    void setTimeout(uint16_t ms)
    {
        timeout_ms_ = ms;
    }
    void addHeader(const char *name, const char *value);
    /* The status of the answer, or one of the errors. */
    int POST(const uint8_t *payload, size_t bytes);
    void end()
    {
        client_->stop();
    }

  private:
    int read_status();

    WiFiClient *client_ = nullptr;
    uint16_t timeout_ms_ = 5000, port_ = 80;
    char host_[64], path_[128], headers_[256];
};

#endif
