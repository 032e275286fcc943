/* wdt.h - the watchdog; simavr has a real one. */
#define WDTO_8S 9
inline void wdt_enable(uint8_t)
{
}
inline void wdt_reset()
{
}
