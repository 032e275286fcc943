/* Client.h - what Arduino's network clients have in common. */
#ifndef SHIM_CLIENT_H
#define SHIM_CLIENT_H

#include "Arduino.h"
#include "IPAddress.h"

class Client : public Stream
{
  public:
    virtual int connect(IPAddress ip, uint16_t port) = 0;
    virtual int connect(const char *host, uint16_t port) = 0;
    using Stream::read;
    virtual int read(uint8_t *bytes, size_t count) = 0;
    virtual void stop() = 0;
    virtual uint8_t connected() = 0;
    virtual operator bool() = 0;
};

#endif
