/* sim.cpp - a board on this machine: its clock, its pins, its network. See sim.h. */
#include "sim.h"

#include <EEPROM.h>
#include <ESP8266HTTPClient.h>
#include <Ethernet.h>
#include <WiFi.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

HardwareSerial Serial;
EspClass ESP;
WiFiClass WiFi;
EthernetClass Ethernet;
EEPROMClass EEPROM;

enum network { NETWORK_UP, NETWORK_LOSSY, NETWORK_DOWN };

static network network_now = NETWORK_UP;
static unsigned outages = 0;
static bool loses_messages = false, probe_has_power = false;
static volatile sig_atomic_t quiet = 0;

static void fail(const char *what)
{
    fprintf(stderr, "sim: %s\n", what);
    exit(2);
}

const char *sim_setting(const char *name)
{
    const char *text = getenv(name);
    if (!text)
        fail((std::string(name) + " is not set").c_str());
    return text;
}

static unsigned long setting_or(const char *name, unsigned long other, int base = 10)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, base) : other;
}

uint32_t sim_number(const char *name)
{
    return (uint32_t)strtoul(sim_setting(name), NULL, 10);
}

uint8_t sim_chip_byte(int i)
{
    return (uint8_t)(ESP.getChipId() >> (16 - 8 * i));
}

bool sim_loses_messages()
{
    return loses_messages;
}

/* ---- time ---- */

static uint64_t now_us()
{
    static const unsigned long speed = setting_or("SIM_SPEED", 1);
    static const uint64_t start_us = (uint64_t)setting_or("SIM_MILLIS", 0) * 1000;
    static uint64_t first_ns = 0;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    if (first_ns == 0)
        first_ns = ns;
    return start_us + (ns - first_ns) * speed / 1000;
}

uint32_t millis()
{
    return (uint32_t)(now_us() / 1000);
}

uint32_t micros()
{
    return (uint32_t)now_us();
}

void delay(uint32_t ms)
{
    usleep((useconds_t)(ms * 1000 / setting_or("SIM_SPEED", 1)));
}

void yield()
{
    usleep(200);
}

/* ---- pins, and what is kept ---- */

void pinMode(uint8_t, uint8_t)
{
}

void digitalWrite(uint8_t, uint8_t value)
{
    probe_has_power = value == HIGH;
}

int analogRead(uint8_t pin)
{
    static const bool walks = strcmp(getenv("SIM_ADC") ? getenv("SIM_ADC") : "count", "walk") == 0;
    static int value = walks ? 400 + (int)(ESP.random() % 200) : (int)setting_or("SIM_ADC_START", 0);
    if (pin == A1) /* nothing is connected there */
        return (int)(ESP.random() % 1024);
    if (!probe_has_power)
        return 0;
    if (walks)
        value += (int)(ESP.random() % 11) - 5;
    else
        value++;
    return value;
}

uint32_t EspClass::getChipId()
{
    return (uint32_t)setting_or("SIM_CHIP", 0x0013a2, 16);
}

uint32_t EspClass::random()
{
    uint32_t number;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        abort();
    return number;
}

long random(long below)
{
    return (long)(ESP.random() % (unsigned long)below);
}

static int open_eeprom()
{
    const char *dir = getenv("SIM_DIR");
    int fd = open((std::string(dir ? dir : ".") + "/eeprom").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fail("no EEPROM: is SIM_DIR there?");
    return fd;
}

void EEPROMClass::load(int at, void *bytes, size_t count)
{
    int fd = open_eeprom();
    memset(bytes, 0xff, count);
    if (pread(fd, bytes, count, at) < 0)
        fail("the EEPROM cannot be read");
    close(fd);
}

void EEPROMClass::save(int at, const void *bytes, size_t count)
{
    int fd = open_eeprom();
    if (pwrite(fd, bytes, count, at) != (ssize_t)count)
        fail("the EEPROM cannot be written");
    close(fd);
}

/* ---- printing ---- */

size_t Print::write(const uint8_t *bytes, size_t count)
{
    size_t written = 0;
    while (written < count && write(bytes[written]) == 1)
        written++;
    return written;
}

size_t Print::print(const char *text)
{
    return write((const uint8_t *)text, strlen(text));
}

size_t Print::print(long number)
{
    return print(std::to_string(number).c_str());
}

size_t Print::print(unsigned long number)
{
    return print(std::to_string(number).c_str());
}

size_t Print::printf(const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return print(text);
}

size_t HardwareSerial::write(uint8_t c)
{
    if (c != '\r')
        putchar(c);
    return 1;
}

/* ---- the network ---- */

wl_status_t WiFiClass::status()
{
    return network_now == NETWORK_DOWN ? WL_DISCONNECTED : WL_CONNECTED;
}

int EthernetClass::begin(uint8_t *, unsigned long timeout_ms, unsigned long)
{
    if (network_now == NETWORK_UP)
        return 1;
    delay((uint32_t)timeout_ms);
    return 0;
}

int SocketClient::connect(IPAddress ip, uint16_t port)
{
    char host[16];
    snprintf(host, sizeof host, "%d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3]);
    return connect(host, port);
}

int SocketClient::connect(const char *host, uint16_t port)
{
    stop();
    if (network_now != NETWORK_UP) {
        delay(timeout_ms_);
        return 0;
    }
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        fail("hosts are given by address");
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (::connect(fd_, (struct sockaddr *)&address, sizeof address) != 0) { /* of loopback: at once */
        stop();
        return 0;
    }
    outages_ = outages;
    return 1;
}

void SocketClient::stop()
{
    if (fd_ >= 0)
        close(fd_);
    fd_ = -1;
    in_start_ = in_end_ = 0;
    ended_ = false;
}

/* Reads what is there. Returns whether the connection lives. */
bool SocketClient::hear()
{
    if (fd_ < 0)
        return false;
    if (network_now == NETWORK_LOSSY)
        return true;
    if (network_now == NETWORK_DOWN || outages_ != outages) {
        struct linger at_once = {1, 0}; /* the other side learns of it by a reset */
        setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        stop();
        return false;
    }
    if (in_start_ < in_end_ || ended_)
        return !ended_;
    ssize_t count = recv(fd_, in_, sizeof in_, MSG_DONTWAIT);
    in_start_ = 0;
    in_end_ = count > 0 ? (size_t)count : 0;
    ended_ = count == 0 || (count < 0 && errno != EAGAIN);
    return !ended_;
}

size_t SocketClient::write(const uint8_t *bytes, size_t count)
{
    if (!hear())
        return 0;
    if (network_now == NETWORK_LOSSY)
        return count;
    ssize_t sent = send(fd_, bytes, count, MSG_NOSIGNAL);
    return sent < 0 ? 0 : (size_t)sent;
}

int SocketClient::available()
{
    hear();
    return network_now == NETWORK_UP ? (int)(in_end_ - in_start_) : 0;
}

int SocketClient::read()
{
    return available() > 0 ? in_[in_start_++] : -1;
}

int SocketClient::read(uint8_t *bytes, size_t count)
{
    size_t there = (size_t)available();
    size_t taken = count < there ? count : there;
    memcpy(bytes, in_ + in_start_, taken);
    in_start_ += taken;
    return taken > 0 ? (int)taken : -1;
}

int SocketClient::peek()
{
    return available() > 0 ? in_[in_start_] : -1;
}

uint8_t SocketClient::connected()
{
    return hear() || in_start_ < in_end_;
}

/* ---- HTTP ---- */

bool HTTPClient::begin(WiFiClient &client, const char *url)
{
    client_ = &client;
    headers_[0] = '\0';
    int found = sscanf(url, "http://%63[^:/]:%hu%127s", host_, &port_, path_);
    return found == 3 && path_[0] == '/';
}

void HTTPClient::addHeader(const char *name, const char *value)
{
    size_t length = strlen(headers_);
    snprintf(headers_ + length, sizeof headers_ - length, "%s: %s\r\n", name, value);
}

int HTTPClient::read_status()
{
    char line[64] = "";
    size_t length = 0;
    uint32_t start_ms = millis();
    while (length < sizeof line - 1 && (length == 0 || line[length - 1] != '\n')) {
        int c = client_->read();
        if (c >= 0)
            line[length++] = (char)c;
        else if (!client_->connected())
            return HTTPC_ERROR_CONNECTION_LOST;
        else if (millis() - start_ms >= timeout_ms_)
            return HTTPC_ERROR_READ_TIMEOUT;
        else
            yield();
    }
    int status = 0;
    return sscanf(line, "HTTP/1.%*d %d", &status) == 1 ? status : HTTPC_ERROR_CONNECTION_LOST;
}

int HTTPClient::POST(const uint8_t *payload, size_t bytes)
{
    client_->setTimeout(timeout_ms_);
    if (!client_->connect(host_, port_))
        return HTTPC_ERROR_CONNECTION_FAILED;
    char head[512];
    int length =
        snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: %s:%u\r\n%sContent-Length: %zu\r\n\r\n", path_,
                 host_, port_, headers_, bytes);
    if (client_->write((const uint8_t *)head, (size_t)length) != (size_t)length ||
        client_->write(payload, bytes) != bytes)
        return HTTPC_ERROR_SEND_PAYLOAD_FAILED;
    return read_status();
}

/* ---- the board runs ---- */

static void obey(const std::string &line)
{
    if (line == "network up")
        network_now = NETWORK_UP;
    else if (line == "network lossy" || line == "network down") {
        network_now = line == "network lossy" ? NETWORK_LOSSY : NETWORK_DOWN;
        outages++;
    } else if (line == "acks lost" || line == "acks heard")
        loses_messages = line == "acks lost";
    else if (line == "quiet")
        quiet = 1;
    else
        fail(("what is '" + line + "'?").c_str());
}

static void hear_commands()
{
    static std::string line;
    static bool ended = false;
    struct pollfd in = {STDIN_FILENO, POLLIN, 0};
    while (!ended && poll(&in, 1, 0) > 0) {
        char c;
        if (read(STDIN_FILENO, &c, 1) != 1) {
            ended = true;
        } else if (c == '\n') {
            obey(line);
            line.clear();
        } else {
            line += c;
        }
    }
}

static void on_signal(int)
{
    quiet = 1;
}

int main()
{
    signal(SIGUSR1, on_signal);
    setvbuf(stdout, NULL, _IOLBF, 0);
    setup();
    for (;;) {
        loop();
        hear_commands();
        if (quiet && !sim_sketch_holds())
            return 0;
        usleep(500);
    }
}
