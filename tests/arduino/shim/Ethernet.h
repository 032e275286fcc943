/* Ethernet.h - of the shield. */
#ifndef SHIM_ETHERNET_H
#define SHIM_ETHERNET_H

#include "SocketClient.h"

typedef SocketClient EthernetClient;

class EthernetClass
{
  public:
    int begin(uint8_t *mac, unsigned long timeout_ms, unsigned long answer_ms);
    int maintain()
    {
        return 0;
    }
    void setRetransmissionCount(uint8_t)
    {
    }
};
extern EthernetClass Ethernet;

#endif
