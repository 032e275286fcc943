/* Ethernet.h - the shield, for simavr: three registers of the ATmega328P that do
 * nothing by themselves are the wires to simavr_run.c.
 *
 *   GPIOR0   write: 1 connect, 2 hang up       read: whether it is connected
 *   GPIOR1   write: a byte to send             read: the next byte that came
 *   GPIOR2                                     read: how many bytes are there
 */
#ifndef AVR_ETHERNET_H
#define AVR_ETHERNET_H

#include <Arduino.h>
#include <Client.h>

class EthernetClient : public Client
{
  public:
    int connect(IPAddress, uint16_t) override
    {
        GPIOR0 = 1;
        return GPIOR0;
    }
    int connect(const char *, uint16_t port) override
    {
        return connect(IPAddress(), port);
    }
    size_t write(uint8_t c) override
    {
        GPIOR1 = c;
        return 1;
    }
    size_t write(const uint8_t *bytes, size_t count) override
    {
        for (size_t i = 0; i < count; i++)
            GPIOR1 = bytes[i];
        return GPIOR0 ? count : 0;
    }
    int available() override
    {
        return GPIOR2;
    }
    int read() override
    {
        return available() > 0 ? GPIOR1 : -1;
    }
    int read(uint8_t *bytes, size_t count) override
    {
        size_t taken = 0;
        while (taken < count && available() > 0)
            bytes[taken++] = GPIOR1;
        return taken > 0 ? (int)taken : -1;
    }
    int peek() override
    {
        return -1;
    }
    void flush() override
    {
    }
    void stop() override
    {
        GPIOR0 = 2;
    }
    uint8_t connected() override
    {
        return GPIOR0;
    }
    operator bool() override
    {
        return connected();
    }
    void setConnectionTimeout(uint16_t)
    {
    }
};

class EthernetClass
{
  public:
    int begin(uint8_t *, unsigned long, unsigned long)
    {
        return 1;
    }
    int maintain()
    {
        return 0;
    }
    void setRetransmissionCount(uint8_t)
    {
    }
};
static EthernetClass Ethernet;

#endif
