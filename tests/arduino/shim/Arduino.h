/* Arduino.h - as much of Arduino as the sketches use, for this machine.
 *
 * Written from Arduino's reference. millis() has 32 bits, as on the boards, although
 * unsigned long has 64 here: sketches keep times in uint32_t. The headers name no
 * POSIX, so that a compiler for the ESP8266 takes them as well; sim.cpp has the rest,
 * and sim.h says how a test drives it.
 */
#ifndef SHIM_ARDUINO_H
#define SHIM_ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t byte;
typedef bool boolean;

#define HIGH   1
#define LOW    0
#define INPUT  0
#define OUTPUT 1
static const uint8_t A0 = 17, A1 = 18;

uint32_t millis();
uint32_t micros();
void delay(uint32_t ms);
void yield();
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);
int analogRead(uint8_t pin);

/* AVR keeps constants apart in flash; here they are where all constants are. */
class __FlashStringHelper;
#define PROGMEM
#define PGM_P      const char *
#define PSTR(text) (text)
#define F(text)    (reinterpret_cast<const __FlashStringHelper *>(text))
#define strcpy_P   strcpy
#define strcat_P   strcat
#define snprintf_P snprintf

class Print
{
  public:
    virtual ~Print()
    {
    }
    virtual size_t write(uint8_t c) = 0;
    virtual size_t write(const uint8_t *bytes, size_t count);
    size_t print(const char *text);
    size_t print(const __FlashStringHelper *text)
    {
        return print(reinterpret_cast<const char *>(text));
    }
    size_t print(long number);
    size_t print(unsigned long number);
    size_t print(int number)
    {
        return print((long)number);
    }
    size_t print(unsigned number)
    {
        return print((unsigned long)number);
    }
    template <typename What> size_t println(What what)
    {
        return print(what) + print("\r\n");
    }
    size_t printf(const char *format, ...) __attribute__((format(printf, 2, 3)));
};

class Stream : public Print
{
  public:
    virtual int available() = 0;
    virtual int read() = 0;
    virtual int peek() = 0;
    virtual void flush()
    {
    }
    void setTimeout(uint32_t ms)
    {
        timeout_ms_ = ms;
    }

  protected:
    uint32_t timeout_ms_ = 1000;
};

class HardwareSerial : public Print
{
  public:
    void begin(unsigned long)
    {
    }
    using Print::write;
    size_t write(uint8_t c) override;
};
extern HardwareSerial Serial;

class EspClass
{
  public:
    uint32_t getChipId();
    uint64_t getEfuseMac()
    {
        return (uint64_t)getChipId() << 24;
    }
    uint32_t random();
};
extern EspClass ESP;
long random(long below);

void setup();
void loop();

#endif
