/* SocketClient.h - a Client on a POSIX socket. While the network is away (sim.h) it
 * takes what is written and loses it, as a radio does that has not noticed yet; a
 * connection that lived through that is dead afterwards. */
#ifndef SHIM_SOCKETCLIENT_H
#define SHIM_SOCKETCLIENT_H

#include "Client.h"

class SocketClient : public Client
{
  public:
    ~SocketClient()
    {
        stop();
    }
    int connect(IPAddress ip, uint16_t port) override;
    int connect(const char *host, uint16_t port) override;
    size_t write(uint8_t c) override
    {
        return write(&c, 1);
    }
    size_t write(const uint8_t *bytes, size_t count) override;
    int available() override;
    int read() override;
    int read(uint8_t *bytes, size_t count) override;
    int peek() override;
    void stop() override;
    uint8_t connected() override;
    operator bool() override
    {
        return connected();
    }
    void setConnectionTimeout(uint16_t ms)
    {
        setTimeout(ms);
    }

  private:
    bool hear();

    int fd_ = -1;
    unsigned outages_ = 0; /* of the network, before this connection */
    uint8_t in_[1024];
    size_t in_start_ = 0, in_end_ = 0;
    bool ended_ = false; /* by the other side */
};

#endif
