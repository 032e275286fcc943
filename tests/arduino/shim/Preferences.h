/* Preferences.h - of the ESP32: one number is all that is kept here. */
#ifndef SHIM_PREFERENCES_H
#define SHIM_PREFERENCES_H

#include "EEPROM.h"

class Preferences
{
  public:
    bool begin(const char *, bool)
    {
        return true;
    }
    uint16_t getUShort(const char *, uint16_t other)
    {
        uint16_t number;
        EEPROM.get(0, number);
        return number == 0xffff ? other : number;
    }
    size_t putUShort(const char *, uint16_t number)
    {
        EEPROM.put(0, number);
        return sizeof number;
    }
    void end()
    {
    }
};

#endif
